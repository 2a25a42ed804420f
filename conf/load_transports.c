/* SPDX-License-Identifier: Apache-2.0 */
/* See load_transports.h. */
#include "conf/load_transports.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "conf/convert.h"
#include "conf/load_option.h"
#include "conf/origins.h"

#define RPC_URL "[DEFAULT]transport_url"
#define NOTIFICATION_URL "[oslo_messaging_notifications]transport_url"

/* Where a query goes: one of the two sets of [oslo_messaging_rabbit]. */
struct target {
    const struct lookup *lookup;
    struct rabbit_options *options;
    struct conf_origins *origins;
    enum origins_set set;
    const char *url_option;
};

/*
 * What is unknown here stops oslo, unless it is one of a newer release: then nova runs with it.
 * Deprecated names count: one with a typo was the option's own until oslo.messaging 14.3.
 */
static int apply_query(const struct target *target, const struct transport_query *query,
                       struct error *err)
{
    const struct option *option = options_find(OPTIONS_RABBIT_GROUP, query->name);
    if (!option) {
        lookup_warning(target->lookup, "%s: '%s' in its query is unknown and has no effect",
                       target->url_option, query->name);
        return 0;
    }
    if (option->type == OPTION_OTHERS)
        return 0;
    int r = load_option_store(target->lookup, option, query->value,
                              options_rabbit_field(target->options, option), err);
    if (r < 0)
        return error_prepend(err, "%s: %s", target->url_option, query->name);
    return origins_note_query(target->origins, target->set, option, target->url_option, err);
}

static int apply_queries(const struct target *target, const struct transport_url *url,
                         struct error *err)
{
    for (unsigned i = 0; i < url->n_queries; i++) {
        int r = apply_query(target, &url->queries[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* [oslo_messaging_rabbit] once more, for the notifications. */
static int load_rabbit(struct lookup *lookup, const struct target *target, struct error *err)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (!options_is_rabbits(option))
            continue;
        int r = load_option(lookup, option, options_rabbit_field(target->options, option),
                            target->origins, target->set, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_url(const char *text, const char *url_option, struct transport_url **ret_url,
                     struct error *err)
{
    int r = transport_url_parse(text ? text : "", ret_url, err);
    return r < 0 ? error_prepend(err, "%s", url_option) : 0;
}

/* Nova can send them with Kafka or AMQP 1.0, and its snapshots do not depend on it. */
static bool go_elsewhere(const struct lookup *lookup, const char *own)
{
    if (!own || !strstr(own, "://") || transport_url_is_rabbit(own))
        return false;
    lookup_warning(lookup, "%s: no notifications are sent: only rabbit:// is supported",
                   NOTIFICATION_URL);
    return true;
}

/* No reason to stop: it is the files of those who send to us that matter, which may be others. */
static bool is_compressed(const struct lookup *lookup, const struct transport_url *url)
{
    const struct option *option = options_find(OPTIONS_RABBIT_GROUP, "kombu_compression");
    const struct assignment *item = lookup_find(lookup, option);
    const char *value = item ? item->value : "";
    for (unsigned i = 0; i < url->n_queries; i++)
        if (options_find(OPTIONS_RABBIT_GROUP, url->queries[i].name) == option)
            value = url->queries[i].value;
    if (value[0] != '\0')
        lookup_warning(lookup,
                       "[oslo_messaging_rabbit]kombu_compression is '%s': what nova's services "
                       "compress is not read, such requests are left to nova-compute",
                       value);
    return value[0] != '\0';
}

int load_transports(struct lookup *lookup, struct conf *conf, struct error *err)
{
    const char *own = conf->oslo_messaging_notifications.transport_url;
    conf->notifications_elsewhere = go_elsewhere(lookup, own);
    bool has_own = own && own[0] != '\0' && !conf->notifications_elsewhere;
    const struct target rpc = {lookup, &conf->oslo_messaging_rabbit, conf->origins, ORIGINS_OPTIONS,
                               RPC_URL};
    const struct target notifications = {lookup, &conf->notification_rabbit, conf->origins,
                                         ORIGINS_NOTIFICATIONS, NOTIFICATION_URL};
    int r = parse_url(conf->DEFAULT.transport_url, RPC_URL, &conf->url, err);
    if (r < 0)
        return r;
    if (has_own) {
        r = parse_url(own, NOTIFICATION_URL, &conf->notification_url, err);
        if (r < 0)
            return r;
    }
    conf->is_compressed = is_compressed(lookup, conf->url);
    r = apply_queries(&rpc, conf->url, err);
    if (r < 0 || !has_own)
        return r;
    r = load_rabbit(lookup, &notifications, err);
    if (r < 0)
        return r;
    return apply_queries(&notifications, conf->notification_url, err);
}
