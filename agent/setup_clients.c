/* SPDX-License-Identifier: Apache-2.0 */
/* See setup_clients.h. */
#include "agent/setup_clients.h"
#include "common/braces.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/dispatch.h"
#include "agent/live_options.h"
#include "agent/methods.h"
#include "amqp/bus.h"
#include "cinder_client/cinder.h"
#include "common/keystone.h"
#include "common/log.h"
#include "conf/conf.h"
#include "driver/libvirt_driver.h"
#include "glance_client/glance.h"

/* oslo takes an empty string for an option that is not set. */
static const char *or_null(const char *text)
{
    return text && text[0] != '\0' ? text : NULL;
}

static const char *const *string_list(char **items)
{
    return (const char *const *)items;
}

static int make_bus(struct agent *agent, const struct conf *conf, struct error *err)
{
    const struct bus_options options = {
        .url = conf->url,
        .notification_url = conf->notification_url,
        .rabbit = conf->oslo_messaging_rabbit,
        .notification_rabbit = conf->notification_rabbit,
        .attach = strcmp(conf->snapshot_agent.attach, "exclusive") == 0 ? BUS_ATTACH_EXCLUSIVE
                                                                        : BUS_ATTACH_SHARED,
        .control_exchange = conf->DEFAULT.control_exchange,
        .topic = "compute",
        .server = conf->DEFAULT.host,
        .rpc_response_timeout_s = (unsigned)conf->DEFAULT.rpc_response_timeout,
        .attach_poll_interval_s = (unsigned)conf->snapshot_agent.attach_poll_interval,
        .rpc_versions = methods_rpc_versions,
        .notification_drivers = conf->notifications_elsewhere
                                    ? NULL
                                    : string_list(conf->oslo_messaging_notifications.driver),
        .notification_topics = string_list(conf->oslo_messaging_notifications.topics),
        .versioned_notification_topics =
            string_list(conf->notifications.versioned_notifications_topics),
    };
    return bus_new(&options, &dispatch_ops, agent, &agent->bus, err);
}

/* As nova, which goes on with the user's token where keystoneauth has no plugin to load. */
static bool has_usable_plugin(const char *auth_type)
{
    if (!auth_type || auth_type[0] == '\0') {
        log_warning("[service_user]: no service token is sent, for auth_type is not set");
        return false;
    }
    if (!keystone_auth_type_is_known(auth_type)) {
        log_warning("[service_user]: no service token is sent, for auth_type %s is not supported",
                    auth_type);
        return false;
    }
    return true;
}

#define HTTP_OPTIONS(group)                                                                        \
    BRACES(.cafile = (group).cafile, .certfile = (group).certfile, .keyfile = (group).keyfile,     \
           .insecure = (group).insecure, .timeout_s = (unsigned)(group).timeout)

/*
 * Nova gets the token in the session of the service it is for, with that one's TLS options
 * (nova.service_auth, keystoneauth1.service_token).
 */
static int make_session(const struct conf *conf, const struct http_options *service,
                        struct keystone_session **ret_session, struct error *err)
{
#define USER(field) conf->service_user.field
    const struct http_options user = HTTP_OPTIONS(conf->service_user);
    const struct keystone_options options = {
        .auth_type = USER(auth_type),
        .auth_url = USER(auth_url),
        .username = USER(username),
        .user_id = USER(user_id),
        .user_domain_name = USER(user_domain_name),
        .user_domain_id = USER(user_domain_id),
        .password = USER(password),
        .project_name = USER(project_name),
        .project_id = USER(project_id),
        .project_domain_name = USER(project_domain_name),
        .project_domain_id = USER(project_domain_id),
        .default_domain_name = USER(default_domain_name),
        .default_domain_id = USER(default_domain_id),
        .domain_name = USER(domain_name),
        .domain_id = USER(domain_id),
        .system_scope = USER(system_scope),
        .application_credential_id = USER(application_credential_id),
        .application_credential_name = USER(application_credential_name),
        .application_credential_secret = USER(application_credential_secret),
        .http = http_options_first(service, &user),
    };
#undef USER
    int r = keystone_session_new(&options, ret_session, err);
    return r < 0 ? error_prepend(err, "[service_user]") : 0;
}

/* Where no service token is sent, credentials are of use all the same, but not needed. */
static int make_keystone(struct agent *agent, const struct conf *conf, struct error *err)
{
    const struct http_options glance = HTTP_OPTIONS(conf->glance);
    const struct http_options cinder = HTTP_OPTIONS(conf->cinder);
    struct error unusable = ERROR_INIT;
    bool is_sent = conf->service_user.send_service_user_token &&
                   has_usable_plugin(conf->service_user.auth_type);
    int r = make_session(conf, &glance, &agent->own_session, is_sent ? err : &unusable);
    if (!is_sent)
        return 0;
    agent->service_session = agent->own_session;
    log_debug("[service_user]: service tokens are sent");
    return r < 0 ? r : make_session(conf, &cinder, &agent->cinder_session, err);
}

static int make_glance(struct agent *agent, const struct conf *conf, struct error *err)
{
#define GLANCE(field) conf->glance.field
    const struct glance_options options = {
        .api_servers = string_list(GLANCE(api_servers)),
        .endpoint_override = or_null(GLANCE(endpoint_override)),
        .service_type = GLANCE(service_type),
        .service_name = or_null(GLANCE(service_name)),
        .valid_interfaces = string_list(GLANCE(valid_interfaces)),
        .region_name = or_null(GLANCE(region_name)),
        .num_retries = (unsigned)GLANCE(num_retries),
        .stall_timeout_s = (unsigned)conf->snapshot_agent.stall_timeout,
        .http = HTTP_OPTIONS(conf->glance),
        .own_session = agent->own_session,
    };
#undef GLANCE
    int r = glance_new(&options, agent->service_session, &agent->glance, err);
    return r < 0 ? error_prepend(err, "[glance]") : 0;
}

static struct rbd_options rbd_options(const struct conf *conf)
{
#define LIBVIRT(field) conf->libvirt.field
    return (struct rbd_options){
        .ceph_conf = LIBVIRT(images_rbd_ceph_conf),
        .user = LIBVIRT(rbd_user),
        .connect_timeout_s = LIBVIRT(rbd_connect_timeout),
        .op_timeout_s = (unsigned)conf->snapshot_agent.stall_timeout,
        .destroy_retries = (unsigned)LIBVIRT(rbd_destroy_volume_retries),
        .destroy_retry_interval_s = (unsigned)LIBVIRT(rbd_destroy_volume_retry_interval),
    };
#undef LIBVIRT
}

static int make_cinder(struct agent *agent, const struct conf *conf, struct error *err)
{
#define CINDER(field) conf->cinder.field
    const struct cinder_options options = {
        .catalog_info = CINDER(catalog_info),
        .endpoint_template = or_null(CINDER(endpoint_template)),
        .os_region_name = or_null(CINDER(os_region_name)),
        .http_retries = (unsigned)CINDER(http_retries),
        .http = HTTP_OPTIONS(conf->cinder),
    };
#undef CINDER
    int r = cinder_new(&options, agent->cinder_session, &agent->cinder, err);
    return r < 0 ? error_prepend(err, "[cinder]") : 0;
}

static int make_driver(struct agent *agent, const struct conf *conf, struct error *err)
{
    char mark[HOST_KEY_MARK_SIZE] = "";
    (void)host_key_mark(&agent->key, HOST_KEY_STAGING, mark);
    const struct live_values live = live_options_of(conf);
    const unsigned snapshots = (unsigned)conf->DEFAULT.max_concurrent_snapshots;
    const struct libvirt_driver_options options = {
        .connection_uri = conf->libvirt.connection_uri,
        .virt_type = conf->libvirt.virt_type,
        .snapshots_directory = conf->libvirt.snapshots_directory,
        .staging_mark = mark,
        .instances_path = conf->DEFAULT.instances_path,
        .stall_timeout_s = (unsigned)conf->snapshot_agent.stall_timeout,
        .freeze_timeout_s = (unsigned)conf->snapshot_agent.freeze_timeout,
        .images_cpu_limit_s = (unsigned)conf->libvirt.images_cpu_time_limit,
        .images_address_space_bytes = (uint64_t)conf->libvirt.images_address_space_limit << 30,
        .disk_bytes_per_s = live_options_disk_share(&live, snapshots),
        .scratch_reserve_bytes = (uint64_t)conf->snapshot_agent.scratch_reserve << 20,
        .deep_image_inspection = !conf->workarounds.disable_deep_image_inspection,
        .rbd = rbd_options(conf),
    };
    return libvirt_driver_new(&options, &agent->driver, err);
}

int setup_clients_make(struct agent *agent, const struct conf *conf, struct error *err)
{
    int r = make_keystone(agent, conf, err);
    if (r < 0)
        return r;
    r = make_glance(agent, conf, err);
    if (r < 0)
        return r;
    r = make_cinder(agent, conf, err);
    if (r < 0)
        return r;
    r = make_driver(agent, conf, err);
    return r < 0 ? r : make_bus(agent, conf, err);
}
