/* See rabbit_options.h. Source: oslo_messaging._drivers.common.ConfigOptsProxy. */
#include "amqp/rabbit_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

enum option_type { OPTION_BOOL, OPTION_SECONDS_OR_COUNT, OPTION_STRING };

#define BOOL(name)                                                                                 \
    {                                                                                              \
#name, OPTION_BOOL, offsetof(struct rabbit_options, name)                                  \
    }
#define NUMBER(name, member)                                                                       \
    {                                                                                              \
        name, OPTION_SECONDS_OR_COUNT, offsetof(struct rabbit_options, member)                     \
    }
#define STRING(name)                                                                               \
    {                                                                                              \
#name, OPTION_STRING, offsetof(struct rabbit_options, name)                                \
    }

static const struct option {
    const char *name;
    enum option_type type;
    size_t offset;
} table[] = {
    BOOL(ssl),
    STRING(ssl_ca_file),
    STRING(ssl_cert_file),
    STRING(ssl_key_file),
    BOOL(ssl_enforce_hostname_verification),
    STRING(rabbit_login_method),
    NUMBER("heartbeat_timeout_threshold", heartbeat_timeout_threshold_s),
    NUMBER("rabbit_retry_interval", rabbit_retry_interval_s),
    NUMBER("rabbit_retry_backoff", rabbit_retry_backoff_s),
    NUMBER("rabbit_interval_max", rabbit_interval_max_s),
    STRING(kombu_failover_strategy),
    NUMBER("kombu_missing_consumer_retry_timeout", kombu_missing_consumer_retry_timeout_s),
    BOOL(amqp_durable_queues),
    BOOL(amqp_auto_delete),
    BOOL(rabbit_quorum_queue),
    BOOL(rabbit_transient_quorum_queue),
    BOOL(rabbit_stream_fanout),
    NUMBER("rabbit_quorum_delivery_limit", rabbit_quorum_delivery_limit),
    NUMBER("rabbit_quorum_max_memory_length", rabbit_quorum_max_memory_length),
    NUMBER("rabbit_quroum_max_memory_length", rabbit_quorum_max_memory_length), /* until 2023.1 */
    NUMBER("rabbit_quorum_max_memory_bytes", rabbit_quorum_max_memory_bytes),
    NUMBER("rabbit_quroum_max_memory_bytes", rabbit_quorum_max_memory_bytes),
    NUMBER("rabbit_transient_queues_ttl", rabbit_transient_queues_ttl_s),
    NUMBER("rabbit_qos_prefetch_count", rabbit_qos_prefetch_count),
    BOOL(enable_cancel_on_failover),
};

/* Known to oslo, without a meaning for this bus: pools, Python threading, dead features, names of
 * queues that nobody else has to know. */
static const char *const ignored[] = {
    "ssl_version",           "ssl_enforce_fips_mode",
    "heartbeat_in_pthread",  "heartbeat_rate",
    "kombu_reconnect_delay", "kombu_reconnect_splay",
    "kombu_compression",     "rabbit_ha_queues",
    "direct_mandatory_flag", "rpc_conn_pool_size",
    "conn_pool_min_size",    "conn_pool_ttl",
    "use_queue_manager",     "hostname",
    "processname",
};

static int bad_value(const char *name, const char *value, struct error *err)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "transport_url: '%s' is no value for '%s'",
                     value, name);
}

/* oslo_config.types.Boolean. */
static int set_bool(bool *member, const char *name, const char *value, struct error *err)
{
    static const char *const truths[] = {"true", "1", "on", "yes"};
    static const char *const lies[] = {"false", "0", "off", "no"};
    for (size_t i = 0; i < ARRAY_SIZE(truths); i++) {
        if (strcasecmp(value, truths[i]) == 0 || strcasecmp(value, lies[i]) == 0) {
            *member = strcasecmp(value, truths[i]) == 0;
            return 0;
        }
    }
    return bad_value(name, value, err);
}

static int set_number(unsigned *member, const char *name, const char *value, struct error *err)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || number > INT32_MAX)
        return bad_value(name, value, err);
    *member = (unsigned)number;
    return 0;
}

static int set_string(char **member, const char *value, struct error *err)
{
    char *copy = strdup(value);
    if (!copy)
        return error_nomem(err);
    free(*member);
    *member = copy;
    return 0;
}

static int apply(struct rabbit_options *options, const struct transport_query *query,
                 struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (strcmp(query->name, table[i].name) != 0)
            continue;
        void *member = (char *)options + table[i].offset;
        if (table[i].type == OPTION_BOOL)
            return set_bool(member, query->name, query->value, err);
        if (table[i].type == OPTION_SECONDS_OR_COUNT)
            return set_number(member, query->name, query->value, err);
        return set_string(member, query->value, err);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        if (strcmp(query->name, ignored[i]) == 0)
            return 0;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "transport_url: '%s' is no option of [oslo_messaging_rabbit]", query->name);
}

/* Replaces borrowed strings by owned ones; on failure those not yet copied are NULL. */
static int own_strings(struct rabbit_options *copy, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].type != OPTION_STRING)
            continue;
        char **to = (char **)(void *)((char *)copy + table[i].offset);
        const char *from = *to;
        *to = NULL;
        if (r == 0 && from)
            r = set_string(to, from, err);
    }
    return r;
}

int rabbit_options_new(const struct rabbit_options *options, const struct transport_url *url,
                       struct rabbit_options **ret_options, struct error *err)
{
    struct rabbit_options *copy = malloc(sizeof(*copy));
    if (!copy)
        return error_nomem(err);
    *copy = *options;
    int r = own_strings(copy, err);
    for (unsigned i = 0; i < url->n_queries && r == 0; i++)
        r = apply(copy, &url->queries[i], err);
    if (r < 0) {
        rabbit_options_free(copy);
        return r;
    }
    *ret_options = copy;
    return 0;
}

void rabbit_options_free(struct rabbit_options *options)
{
    if (!options)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].type == OPTION_STRING)
            free(*(char **)(void *)((char *)options + table[i].offset));
    free(options);
}
