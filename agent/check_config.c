/* SPDX-License-Identifier: Apache-2.0 */
/* See check_config.h. */
#include "agent/check_config.h"

#include <stdlib.h>

#include "agent/local_checks.h"
#include "agent/setup.h"

static void write_check(void *arg, const char *what, const struct error *trouble)
{
    FILE *out = arg;
    if (trouble)
        (void)fprintf(out, "# FAILED: %s: %s\n", what, trouble->message);
    else
        (void)fprintf(out, "# good: %s\n", what);
}

static unsigned write_checks(const struct conf *conf, FILE *out)
{
    int pid = local_checks_lock_holder(conf);
    (void)fputs("\n# On this host:\n", out);
    unsigned n_bad = local_checks_run(conf, write_check, out);
    if (pid > 0)
        (void)fprintf(out, "# an agent (pid %d) serves this host name now\n", pid);
    return n_bad;
}

int check_config(const struct conf *conf, const struct conf_sources *sources, FILE *out,
                 struct error *err)
{
    /* Building the parts connects nothing, and finds what only they can judge. */
    struct agent agent = {0};
    if (setup_agent(&agent, conf, err) < 0)
        return EXIT_FAILURE;
    setup_undo(&agent);
    for (size_t i = 0; i < sources->n; i++)
        (void)fprintf(out, "# read: %s%s\n", sources->items[i].path,
                      sources->items[i].is_folder ? "/*.conf" : "");
    conf_write_effective(conf, out);
    return write_checks(conf, out) > 0 ? EXIT_HOST_NOT_READY : EXIT_SUCCESS;
}
