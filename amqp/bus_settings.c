/* SPDX-License-Identifier: Apache-2.0 */
/* See bus_settings.h. */
#include "amqp/bus_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/notification.h"
#include "amqp/oslo_message.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/string_list.h"

#define ATTACH_POLL_INTERVAL_S 5
#define QUEUE_NAME_ROOM 48 /* "compute_fanout_" and 32 digits around the longest part */

static int check_length(const char *name, const char *what, struct error *err)
{
    if (strlen(name) > OSLO_NAME_MAX_BYTES - QUEUE_NAME_ROOM)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the %s of the bus is too long", what);
    return 0;
}

static int copy_name(char **ret_copy, const char *text, const char *what, struct error *err)
{
    if (!text || text[0] == '\0')
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the bus has no %s", what);
    if (check_length(text, what, err) < 0)
        return -err->errnum;
    *ret_copy = strdup(text);
    return *ret_copy ? 0 : error_nomem(err);
}

/* An empty name too, as a stray comma in a list makes it: oslo uses it. */
static int copy_name_list(char ***ret_copy, const char *const *list, const char *what,
                          struct error *err)
{
    for (size_t i = 0; list && list[i]; i++)
        if (check_length(list[i], what, err) < 0)
            return -err->errnum;
    return string_list_copy(list, ret_copy) ? 0 : error_nomem(err);
}

static int copy_transport(struct bus_settings *settings, const struct bus_options *options,
                          struct error *err)
{
    settings->url = transport_url_copy(options->url);
    if (!settings->url)
        return error_nomem(err);
    settings->rabbit = options->rabbit;
    if (!options->notification_url)
        return 0;
    settings->notification_url = transport_url_copy(options->notification_url);
    settings->notification_rabbit = options->notification_rabbit;
    return settings->notification_url ? 0 : error_nomem(err);
}

static int copy_lists(struct bus_settings *settings, const struct bus_options *options,
                      struct error *err)
{
    const struct {
        char ***copy;
        const char *const *list;
        const char *what;
    } lists[] = {
        {&settings->rpc_versions, options->rpc_versions, "RPC version"},
        {&settings->notification_drivers, options->notification_drivers, "notification driver"},
        {&settings->notification_topics, options->notification_topics, "notification topic"},
        {&settings->versioned_notification_topics, options->versioned_notification_topics,
         "notification topic"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        int r = copy_name_list(lists[i].copy, lists[i].list, lists[i].what, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_names(struct bus_settings *settings, const struct bus_options *options,
                      struct error *err)
{
    int r =
        copy_name(&settings->control_exchange, options->control_exchange, "control_exchange", err);
    if (r < 0)
        return r;
    r = copy_name(&settings->topic, options->topic, "topic", err);
    if (r < 0)
        return r;
    r = copy_name(&settings->server, options->server, "host", err);
    if (r < 0)
        return r;
    return copy_lists(settings, options, err);
}

int bus_settings_init(struct bus_settings *settings, const struct bus_options *options,
                      struct error *err)
{
    settings->attach = options->attach;
    settings->rpc_response_timeout_s =
        options->rpc_response_timeout_s > 0 ? options->rpc_response_timeout_s : 60;
    settings->attach_poll_interval_s = options->attach_poll_interval_s > 0
                                           ? options->attach_poll_interval_s
                                           : ATTACH_POLL_INTERVAL_S;
    int r = copy_transport(settings, options, err);
    if (r < 0)
        return r;
    r = copy_names(settings, options, err);
    if (r < 0)
        return r;
    if (strlen(settings->topic) + strlen(settings->server) + 1 > OSLO_NAME_MAX_BYTES)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "topic and host of the bus are too long");
    for (char **driver = settings->notification_drivers; *driver; driver++)
        if (!notification_knows_driver(*driver))
            log_warning("[oslo_messaging_notifications]driver: '%s' is not supported and sends "
                        "nothing",
                        *driver);
    return 0;
}

void bus_settings_clear(struct bus_settings *settings)
{
    transport_url_free(settings->url);
    transport_url_free(settings->notification_url);
    free(settings->control_exchange);
    free(settings->topic);
    free(settings->server);
    string_list_free(settings->rpc_versions);
    string_list_free(settings->notification_drivers);
    string_list_free(settings->notification_topics);
    string_list_free(settings->versioned_notification_topics);
}
