/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See reload.h. struct conf is read by all threads without a lock and stays what it was; what can
 * be reloaded has a place of its own.
 */
#include "agent/reload.h"

#include <stdio.h>
#include <string.h>

#include "agent/live_options.h"
#include "agent/slots.h"
#include "common/log.h"
#include "conf/conf.h"

static void apply_to_agent(struct agent *agent, const struct conf *conf)
{
    int snapshots = conf->DEFAULT.max_concurrent_snapshots;
    int disk_ops = conf->compute.max_concurrent_disk_ops;
    log_set_level(conf->DEFAULT.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    log_set_debug_modules((const char *const *)conf->snapshot_agent.debug_modules);
    slots_set_limit(agent->snapshot_slots, (unsigned)snapshots);
    slots_set_limit(agent->disk_op_slots, (unsigned)disk_ops);
    log_info("the configuration was read again: debug = %s, max_concurrent_snapshots = %d, "
             "max_concurrent_disk_ops = %d",
             conf->DEFAULT.debug ? "true" : "false", snapshots, disk_ops);
}

static void take_configured(struct live_values *values, const void *arg)
{
    *values = live_options_of(arg);
}

/* The names, as far as one line holds them. */
struct names {
    char text[2048];
    size_t used;
    unsigned n_left_out;
};

static void add_name(void *arg, const char *group, const char *name)
{
    struct names *names = arg;
    size_t room = sizeof(names->text) - names->used;
    int n = snprintf(names->text + names->used, room, "%s[%s]%s", names->used > 0 ? ", " : "",
                     group, name);
    if (n > 0 && (size_t)n < room) {
        names->used += (size_t)n;
        return;
    }
    names->text[names->used] = '\0';
    names->n_left_out++;
}

static int mib_of(uint64_t bytes)
{
    return (int)(bytes >> 20);
}

void reload_compare(const struct agent *agent, const struct conf *conf,
                    void (*differs)(void *arg, const char *group, const char *name), void *arg)
{
    struct conf in_force = *agent->conf; /* borrows all that the other owns */
    const struct live_values live = live_options_get(agent->live_options);
    char method[16];
    (void)snprintf(method, sizeof(method), "%s", snapshot_method_name(live.wanted_method));
    in_force.DEFAULT.debug = log_get_level() == LOG_LEVEL_DEBUG;
    in_force.DEFAULT.max_concurrent_snapshots = (int)slots_usage(agent->snapshot_slots).limit;
    in_force.compute.max_concurrent_disk_ops = (int)slots_usage(agent->disk_op_slots).limit;
    in_force.snapshot_agent.debug_modules = conf->snapshot_agent.debug_modules;
    in_force.snapshot_agent.live_snapshot_method = method;
    in_force.snapshot_agent.disk_rate_limit = mib_of(live.disk_bytes_per_s);
    in_force.snapshot_agent.disk_rate_limit_host = mib_of(live.disk_host_bytes_per_s);
    in_force.snapshot_agent.upload_rate_limit = mib_of(live.upload_bytes_per_s);
    in_force.snapshot_agent.upload_rate_limit_host = mib_of(live.upload_host_bytes_per_s);
    conf_compare(&in_force, conf, differs, arg);
}

/* Once all that can be changed is. */
static void warn_of_others(const struct agent *agent, const struct conf *conf)
{
    struct names names = {.used = 0};
    reload_compare(agent, conf, add_name, &names);
    if (names.n_left_out > 0)
        log_warning("needs a restart: %s and %u more", names.text, names.n_left_out);
    else if (names.used > 0)
        log_warning("needs a restart: %s", names.text);
}

void reload_configuration(struct agent *agent, const struct conf_sources *sources)
{
    struct conf *conf = NULL;
    struct error err = ERROR_INIT;
    int r = conf_load(sources->items, sources->n, &conf, &err);
    if (r < 0) {
        log_error("the configuration stays as it was: %s", err.message);
    } else {
        apply_to_agent(agent, conf);
        live_options_change(agent, take_configured, conf);
        warn_of_others(agent, conf);
    }
    conf_free(conf);
}
