/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the sources into struct conf. See conf.h. */
#include "conf/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "conf/convert.h"
#include "conf/load_option.h"
#include "conf/load_transports.h"
#include "conf/parser.h"

#define OWN_GROUP "snapshot_agent"

static int check_own_group(const struct lookup *lookup, struct error *err)
{
    for (size_t i = 0; i < lookup->in.n; i++) {
        const struct assignment *item = &lookup->in.items[i];
        if (assignments_same_group(item->group, OWN_GROUP) && !options_find(OWN_GROUP, item->name))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s:%u: [%s] has no option '%s'",
                             lookup->in.files[item->file], item->line, OWN_GROUP, item->name);
    }
    return 0;
}

/* oslo.config's drivers fetch values over the network; only Python can load them. */
static void warn_of_other_sources(const struct lookup *lookup)
{
    const struct assignment *item = lookup_find(lookup, options_find("DEFAULT", "config_source"));
    if (item && item->value[0] != '\0')
        lookup_warning(lookup,
                       "[DEFAULT]config_source: the options that nova gets from '%s' are not read "
                       "by the agent",
                       item->value);
}

static int read_sources(struct lookup *lookup, const struct conf_source *sources, size_t n,
                        struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        log_debug("reading the configuration from %s", sources[i].path);
        int r = sources[i].is_folder ? parser_read_dir(&lookup->in, sources[i].path, err)
                                     : parser_read_file(&lookup->in, sources[i].path, err);
        if (r < 0)
            return r;
    }
    return assignments_read_environment(&lookup->in, err);
}

/* Nova reads [service_user] when it uses it: what is wrong there matters to nobody before. */
static bool is_unused(const struct option *option, const struct conf *conf)
{
    return strcmp(option->group, "service_user") == 0 &&
           !conf->service_user.send_service_user_token;
}

static int load_options(struct lookup *lookup, struct conf *conf, struct error *err)
{
    /* auth_section comes before the plugin's options in the table. */
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        struct error trouble = ERROR_INIT;
        if (option->type == OPTION_OTHERS)
            continue;
        int r = load_option(lookup, option, (char *)conf + option->offset, conf->origins,
                            ORIGINS_OPTIONS, &trouble);
        if (r < 0 && !is_unused(option, conf)) {
            *err = trouble;
            return r;
        }
        if (r < 0)
            lookup_warning(lookup, "%s (not used: send_service_user_token is false)",
                           trouble.message);
        const char *section = conf->service_user.auth_section;
        lookup->plugin_group = section && section[0] != '\0' ? section : NULL;
    }
    return 0;
}

static void find_nova(struct lookup *lookup)
{
    const struct assignment *item = lookup_find(lookup, options_find(OWN_GROUP, "nova_packages"));
    installed_find(item ? item->value : NULL, &lookup->installed);
    log_debug("nova in %s: its release decides on defaults and deprecated names",
              lookup->installed.folder[0] != '\0' ? lookup->installed.folder
                                                  : "no folder of this host");
}

static int load_conf(struct lookup *lookup, const struct conf_source *sources, size_t n_sources,
                     struct conf *conf, struct error *err)
{
    int r = read_sources(lookup, sources, n_sources, err);
    if (r < 0)
        return r;
    r = check_own_group(lookup, err);
    if (r < 0)
        return r;
    find_nova(lookup);
    conf->installed = lookup->installed;
    warn_of_other_sources(lookup);
    r = origins_new(&conf->origins, err);
    if (r < 0)
        return r;
    r = load_options(lookup, conf, err);
    if (r < 0)
        return r;
    return load_transports(lookup, conf, err);
}

static int load_new(const struct conf_source *sources, size_t n_sources, bool is_quiet,
                    struct conf **ret_conf, struct error *err)
{
    struct conf *conf = calloc(1, sizeof(*conf));
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    int r = -ENOMEM;
    if (conf && lookup) {
        lookup->group = "DEFAULT";
        lookup->is_quiet = is_quiet;
        r = load_conf(lookup, sources, n_sources, conf, err);
        assignments_done(&lookup->in);
    } else {
        (void)error_nomem(err);
    }
    free(lookup);
    if (r < 0) {
        conf_free(conf);
        return r;
    }
    *ret_conf = conf;
    return 0;
}

int conf_load(const struct conf_source *sources, size_t n_sources, struct conf **ret_conf,
              struct error *err)
{
    return load_new(sources, n_sources, false, ret_conf, err);
}

int conf_load_to_compare(const struct conf_source *sources, size_t n_sources,
                         struct conf **ret_conf, struct error *err)
{
    return load_new(sources, n_sources, true, ret_conf, err);
}

static void free_notification_rabbit(struct conf *conf)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (options_is_rabbits(option))
            convert_free(option, options_rabbit_field(&conf->notification_rabbit, option));
    }
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < options_count; i++)
        convert_free(&options_table[i], (char *)conf + options_table[i].offset);
    free_notification_rabbit(conf);
    transport_url_free(conf->url);
    transport_url_free(conf->notification_url);
    origins_free(conf->origins);
    free(conf);
}
