/* SPDX-License-Identifier: Apache-2.0 */
/* See check_config.h. */
#include "agent/check_config.h"

#include <stdlib.h>

#include "agent/host_checks.h"
#include "agent/local_checks.h"
#include "agent/setup.h"

static bool write_check(void *arg, const struct host_finding *finding)
{
    FILE *out = arg;
    if (finding->trouble)
        (void)fprintf(out, "# FAILED: %s: %s\n", finding->name, finding->trouble->message);
    else
        (void)fprintf(out, "# good: %s\n", finding->name);
    return true;
}

static unsigned write_checks(const struct conf *conf, FILE *out)
{
    const struct agent agent = {.conf = conf};
    struct host_view view = {.agent = &agent};
    char user[LOCAL_CHECKS_USER_SIZE];
    int pid = local_checks_lock_holder(conf);
    (void)fputs("\n# On this host:\n", out);
    unsigned n_bad = host_checks_run(&view, HOST_CHECKS_LOCAL, write_check, out);
    if (local_checks_state_is_others(conf, user))
        (void)fprintf(out, "# [snapshot_agent]state_dir is for an agent that runs as %s\n", user);
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
