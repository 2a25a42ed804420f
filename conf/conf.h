/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operator configured, in the operator's own words: one struct per group, one field per
 * option, named as in nova.conf.
 *
 * What conf_load() has read at the start is constant afterwards and may be read by all threads.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "common/error.h"
#include "common/rabbit_options.h"
#include "common/transport_url.h"
#include "conf/installed.h"

/* Strings may be NULL where the option has no default. Lists are NULL-ended and never NULL. */
struct conf {
    struct {
        bool debug;
        char *host;
        char *state_path;
        char *instances_path;
        char *transport_url;
        char *control_exchange;
        int rpc_response_timeout;
        int max_concurrent_snapshots;
        int graceful_shutdown_timeout;
    } DEFAULT;
    struct {
        char *virt_type;
        char *connection_uri;
        char *images_type;
        char *snapshots_directory;
        char *snapshot_image_format;
        bool snapshot_compression;
        int images_cpu_time_limit, images_address_space_limit;
        char *images_rbd_pool, *images_rbd_ceph_conf, *rbd_user;
        int rbd_connect_timeout;
        int rbd_destroy_volume_retries, rbd_destroy_volume_retry_interval;
    } libvirt;
    struct {
        bool disable_libvirt_livesnapshot;
        bool disable_deep_image_inspection;
    } workarounds;
    struct {
        bool enabled;
    } ephemeral_storage_encryption;
    struct {
        int max_concurrent_disk_ops;
    } compute;
    struct {
        char **api_servers;
        char *endpoint_override;
        char *service_type;
        char *service_name;
        char **valid_interfaces;
        char *region_name;
        int num_retries;
        char *cafile, *certfile, *keyfile;
        bool insecure;
        int timeout;
    } glance;
    struct {
        char *catalog_info;
        char *endpoint_template;
        char *os_region_name;
        int http_retries;
        char *cafile, *certfile, *keyfile;
        bool insecure;
        int timeout;
    } cinder;
    struct {
        bool send_service_user_token;
        char *auth_section;
        char *auth_type;
        char *auth_url;
        char *username, *user_id, *user_domain_name, *user_domain_id, *password;
        char *project_name, *project_id, *project_domain_name, *project_domain_id;
        char *default_domain_name, *default_domain_id, *domain_name, *domain_id, *system_scope;
        char *application_credential_id, *application_credential_name;
        char *application_credential_secret;
        char *cafile, *certfile, *keyfile;
        bool insecure;
        int timeout;
    } service_user;
    struct rabbit_options oslo_messaging_rabbit; /* with the query of [DEFAULT]transport_url */
    struct {
        char **driver;
        char **topics;
        char *transport_url;
    } oslo_messaging_notifications;
    struct {
        char *notification_format;
        char **versioned_notifications_topics;
        bool bdms_in_notifications;
        bool include_share_mapping;
    } notifications;
    struct {
        char **debug_modules;
        char *attach;
        char *state_dir;
        char *control_socket;
        char *metrics_address;
        char *nova_packages;
        int attach_poll_interval;
        int stall_timeout;
        int scratch_reserve;
        int freeze_timeout;
        int freeze_deadline;
        int volume_snapshot_timeout;
        char *live_snapshot_method;
        char *compression_type;
        int disk_rate_limit, disk_rate_limit_host;
        int upload_rate_limit, upload_rate_limit_host;
        bool report_progress, image_provenance;
    } snapshot_agent;

    /* What follows from these. */
    struct transport_url *url;              /* [DEFAULT]transport_url */
    struct transport_url *notification_url; /* NULL = the same */
    bool notifications_elsewhere; /* they go over a transport that there is not here: not sent */
    bool is_compressed;           /* kombu_compression is set: what others compress is not read */
    struct rabbit_options notification_rabbit; /* with that one's query; unset when NULL */

    struct installed installed; /* whose defaults and names hold */

    /* Where each value is from, for conf_write_effective(). */
    struct conf_origins *origins;
};

/* A --config-file or --config-dir of the command line. */
struct conf_source {
    const char *path;
    bool is_folder;
};

/*
 * Reads the sources (borrowed) in their order and the environment (OS_GROUP__OPTION), as
 * oslo.config does, and the queries of the transport URLs, as oslo.messaging does. Bad values of
 * any option known here and unknown options in [snapshot_agent] are errors naming file and line;
 * what nova only warns of is a warning. Returns owned.
 */
int conf_load(const struct conf_source *sources, size_t n_sources, struct conf **ret_conf,
              struct error *err);

/* The same for conf_compare(): without the warnings, which the start has given. */
int conf_load_to_compare(const struct conf_source *sources, size_t n_sources,
                         struct conf **ret_conf, struct error *err);

/*
 * Calls `differs` for every option whose value is not the same in both, in the order of the sample
 * file. Not set and empty are the same.
 */
void conf_compare(const struct conf *a, const struct conf *b,
                  void (*differs)(void *arg, const char *group, const char *name), void *arg);

/* NULL-safe. Secrets are cleared. */
void conf_free(struct conf *conf);

/* A commented sample file of all options. */
void conf_write_sample(FILE *out);

/* The options as a section of a man page. */
void conf_write_man(FILE *out);

/* What is in force, secrets hidden, and where each value is from. */
void conf_write_effective(const struct conf *conf, FILE *out);
