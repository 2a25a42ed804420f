/* SPDX-License-Identifier: Apache-2.0 */
/* See options.h. Names, defaults and limits are nova's, oslo.messaging's and keystoneauth1's. */
#include "conf/options.h"

#include <limits.h>
#include <string.h>

#include "common/control_socket.h"
#include "conf/conf.h"

#define AT(group_, field_)                                                                         \
    .group = #group_, .name = #field_, .offset = offsetof(struct conf, group_.field_)
#define STRING(group_, field_) AT(group_, field_), .type = OPTION_STRING
#define BOOL(group_, field_) AT(group_, field_), .type = OPTION_BOOL
#define INT(group_, field_, min_, max_)                                                            \
    AT(group_, field_), .type = OPTION_INT, .min = (min_), .max = (max_)
#define LAX_INT(group_, field_, min_, max_) INT(group_, field_, min_, max_), .lax = true
#define LIST(group_, field_) AT(group_, field_), .type = OPTION_LIST
#define MULTI(group_, field_) AT(group_, field_), .type = OPTION_MULTI
#define RABBIT(field_, name_)                                                                      \
    .group = OPTIONS_RABBIT_GROUP, .name = (name_),                                                \
    .offset = offsetof(struct conf, oslo_messaging_rabbit.field_)
#define RABBIT_STRING(field_) RABBIT(field_, #field_), .type = OPTION_STRING
#define RABBIT_BOOL(field_) RABBIT(field_, #field_), .type = OPTION_BOOL
#define RABBIT_INT(field_, name_, min_, max_)                                                      \
    RABBIT(field_, name_), .type = OPTION_INT, .min = (min_), .max = (max_), .lax = true
#define OTHERS(group_, name_) .group = #group_, .name = #name_, .type = OPTION_OTHERS
#define ALIAS(...) .aliases = {__VA_ARGS__}

/* clang-format off: one option a row */
const struct option options_table[] = {
    {BOOL(DEFAULT, debug), .default_value = "false", .help = "Writes debug lines to the log."},
    {STRING(DEFAULT, host), .help = "Host name of this compute host, as nova-compute has it. "
                                    "Default: the machine's host name."},
    {STRING(DEFAULT, state_path), .default_value = "$pybasedir",
     .help = "Top folder of nova's state."},
    {STRING(DEFAULT, instances_path), .default_value = "$state_path/instances",
     .help = "Where instances are stored on disk. Backing files are expected below it."},
    {STRING(DEFAULT, transport_url), .default_value = "rabbit://", .secret = true, .url = true,
     .help = "Where RabbitMQ is: "
             "rabbit://user:password@host:port,user:password@host:port/vhost?option=value"},
    {STRING(DEFAULT, control_exchange), .default_value = "nova",
     .help = "The exchange of nova's topics."},
    {LAX_INT(DEFAULT, rpc_response_timeout, 1, INT_MAX), .default_value = "60",
     .help = "Seconds to wait for an answer of nova-conductor."},
    {INT(DEFAULT, max_concurrent_snapshots, 0, INT_MAX), .default_value = "5",
     .help =
         "How many snapshots run at the same time; more wait in order of arrival. 0: no limit."},
    {LAX_INT(DEFAULT, graceful_shutdown_timeout, 0, 4000000), .default_value = "60",
     .newer = {INSTALLED_NOVA, 33, 0, "180"}, .empty_is_zero = true,
     .help = "Seconds running snapshots have to end after SIGTERM. 0: no limit."},
    /* What other values refer to. */
    {OTHERS(DEFAULT, pybasedir)},
    {OTHERS(DEFAULT, my_ip)},
    {OTHERS(DEFAULT, my_block_storage_ip), .default_value = "$my_ip"},
    {OTHERS(DEFAULT, my_shared_fs_storage_local_ip), .default_value = "$my_ip"},
    {OTHERS(DEFAULT, console_host)},
    {OTHERS(DEFAULT, tempdir)},
    {OTHERS(DEFAULT, log_dir)},
    {OTHERS(DEFAULT, rootwrap_config), .default_value = "/etc/nova/rootwrap.conf"},
    {OTHERS(DEFAULT, config_source)},

    {STRING(libvirt, virt_type), .default_value = "kvm", .choices = "|kvm|lxc|qemu|parallels|",
     .help = "Domain type of libvirt. Snapshots of lxc and parallels are left to nova-compute."},
    {STRING(libvirt, connection_uri), .default_value = "",
     .help = "libvirt's connection URI. Empty: the one of virt_type."},
    {STRING(libvirt, images_type), .default_value = "default",
     .choices = "|raw|flat|qcow2|lvm|rbd|ploop|default|",
     .help = "Format of instance disks. Snapshots with ploop are left to nova-compute."},
    {STRING(libvirt, snapshots_directory), .default_value = "$instances_path/snapshots",
     .help = "Where snapshots are staged. Needs room for a copy of the disk's top layer and the "
             "finished image, "
             "and must be reachable by the user QEMU runs as."},
    {STRING(libvirt, snapshot_image_format), .choices = "|raw|qcow2|vmdk|vdi|",
     .help = "Format of snapshot images. Default: that of the source disk."},
    {BOOL(libvirt, snapshot_compression), .default_value = "false",
     .help = "Compresses qcow2 images."},

    {LAX_INT(libvirt, images_cpu_time_limit, 0, INT_MAX), .default_value = "30",
     .help = "Seconds of CPU time qemu-img has to look at an image. 0: no limit."},
    {LAX_INT(libvirt, images_address_space_limit, 0, 1 << 20), .default_value = "1",
     .newer = {INSTALLED_NOVA, 34, 0, "2"},
     .help = "GiB of address space it has for that. 0: no limit."},
    {STRING(libvirt, images_rbd_pool), .default_value = "rbd",
     .help = "The pool instance disks are in, with images_type rbd."},
    {STRING(libvirt, images_rbd_ceph_conf), .default_value = "",
     .help = "Ceph's configuration file. Empty: where Ceph itself looks for it."},
    {STRING(libvirt, rbd_user), .help = "The Ceph user (without \"client.\")."},
    {LAX_INT(libvirt, rbd_connect_timeout, -1, INT_MAX), .default_value = "5",
     .help = "Seconds to connect to the Ceph cluster. -1: Ceph's own limit."},
    {INT(libvirt, rbd_destroy_volume_retries, 0, INT_MAX), .default_value = "12",
     .help = "How often the removal of an RBD image that is in use is tried again."},
    {INT(libvirt, rbd_destroy_volume_retry_interval, 0, INT_MAX), .default_value = "5",
     .help = "Seconds between these."},

    {BOOL(workarounds, disable_libvirt_livesnapshot), .default_value = "false",
     .help = "Takes cold snapshots only: the guest is saved to disk while its disk is copied."},
    {BOOL(workarounds, disable_deep_image_inspection), .default_value = "false",
     .help = "Does not inspect backing files before they are used."},

    {BOOL(ephemeral_storage_encryption, enabled), .default_value = "false",
     .help = "Local disks may be encrypted. Servers whose disks are encrypted are left to "
             "nova-compute, of the others only cold snapshots are taken."},

    {INT(compute, max_concurrent_disk_ops, 0, INT_MAX), .default_value = "0",
     .help = "How many snapshots read or upload a disk at the same time. 0: no limit."},

    {LIST(glance, api_servers), .default_value = "",
     .help = "Deprecated: Glance's endpoints, used in turn instead of the catalog's."},
    {STRING(glance, endpoint_override), .help = "Glance's endpoint instead of the catalog's."},
    {STRING(glance, service_type), .default_value = "image",
     .help = "Service type in the catalog."},
    {STRING(glance, service_name), .help = "Service name in the catalog. Default: any."},
    {LIST(glance, valid_interfaces), .default_value = "internal,public",
     .help = "Interfaces of the catalog, most wanted first."},
    {STRING(glance, region_name), .help = "Region in the catalog. Default: any."},
    {INT(glance, num_retries, 0, INT_MAX), .default_value = "0",
     .newer = {INSTALLED_NOVA, 22, 0, "3"},
     .help = "How often a failed request to Glance is tried again."},
    {STRING(glance, cafile), ALIAS({"ssl", "ca_file", 0}),
     .help = "PEM file of the authorities Glance's certificate is verified with. Default: the "
             "system's."},
    {STRING(glance, certfile), ALIAS({"ssl", "cert_file", 0}), .help = "PEM client certificate."},
    {STRING(glance, keyfile), ALIAS({"ssl", "key_file", 0}),
     .help = "Key of the client certificate."},
    {BOOL(glance, insecure), .default_value = "false", ALIAS({NULL, "api_insecure", 0}),
     .help = "Does not verify Glance's certificate."},
    {LAX_INT(glance, timeout, 0, INT_MAX), .default_value = "0",
     .help = "Seconds for a metadata request. 0: the agent's own limits."},

    {STRING(cinder, catalog_info), .default_value = "volumev3:cinderv3:publicURL",
     .newer = {INSTALLED_NOVA, 19, 0, "volumev3::publicURL"},
     .help = "What Cinder is in the catalog: <service_type>:<service_name>:<endpoint_type>, the "
             "name may be left out."},
    {STRING(cinder, endpoint_template),
     .help = "Cinder's endpoint instead of the catalog's: http://localhost:8776/v3/%(project_id)s"},
    {STRING(cinder, os_region_name), .help = "Region in the catalog. Default: any."},
    {INT(cinder, http_retries, 0, INT_MAX), .default_value = "3",
     .help = "How often a failed request to Cinder is tried again."},
    {STRING(cinder, cafile),
     .help = "PEM file of the authorities Cinder's certificate is verified with. Default: the "
             "system's."},
    {STRING(cinder, certfile), .help = "PEM client certificate."},
    {STRING(cinder, keyfile), .help = "Key of the client certificate."},
    {BOOL(cinder, insecure), .default_value = "false",
     .help = "Does not verify Cinder's certificate."},
    {LAX_INT(cinder, timeout, 0, INT_MAX), .default_value = "0",
     .help = "Seconds for a request. 0: the agent's own limits."},

    {BOOL(service_user, send_service_user_token), .default_value = "false",
     .help = "Sends a service token beside the user's, so that a user token may expire during a "
             "long snapshot."},
    {STRING(service_user, auth_section),
     .help = "Group to read the credentials from instead of this one."},
    {STRING(service_user, auth_type), .plugin = true, ALIAS({NULL, "auth_plugin", 0}),
     .help = "How the service user authenticates: password, v3password, v3applicationcredential. "
             "With another plugin of keystoneauth requests go without a service token."},
    {STRING(service_user, auth_url), .plugin = true, .help = "Keystone's URL."},
    {STRING(service_user, username), .plugin = true,
     ALIAS({NULL, "user-name", 0}, {NULL, "user_name", 0}), .help = "User name."},
    {STRING(service_user, user_id), .plugin = true, .help = "User id."},
    {STRING(service_user, user_domain_name), .plugin = true,
     .help = "Domain of the user, by name."},
    {STRING(service_user, user_domain_id), .plugin = true, .help = "Domain of the user, by id."},
    {STRING(service_user, password), .plugin = true, .secret = true, .help = "Password."},
    {STRING(service_user, project_name), .plugin = true,
     ALIAS({NULL, "tenant-name", 0}, {NULL, "tenant_name", 0}), .help = "Project, by name."},
    {STRING(service_user, project_id), .plugin = true,
     ALIAS({NULL, "tenant-id", 0}, {NULL, "tenant_id", 0}), .help = "Project, by id."},
    {STRING(service_user, project_domain_name), .plugin = true,
     .help = "Domain of the project, by name."},
    {STRING(service_user, project_domain_id), .plugin = true,
     .help = "Domain of the project, by id."},
    {STRING(service_user, default_domain_name), .plugin = true,
     .help = "Domain of user and project unless given, by name."},
    {STRING(service_user, default_domain_id), .plugin = true,
     .help = "Domain of user and project unless given, by id."},
    {STRING(service_user, domain_name), .plugin = true, .help = "Domain to scope to, by name."},
    {STRING(service_user, domain_id), .plugin = true, .help = "Domain to scope to, by id."},
    {STRING(service_user, system_scope), .plugin = true, .help = "Scope for system operations."},
    {STRING(service_user, application_credential_id), .plugin = true,
     .help = "Application credential, by id."},
    {STRING(service_user, application_credential_name), .plugin = true,
     .help = "Application credential, by name."},
    {STRING(service_user, application_credential_secret), .plugin = true, .secret = true,
     .help = "Secret of the application credential."},
    {STRING(service_user, cafile),
     .help = "PEM file of the authorities Keystone's certificate is verified with."},
    {STRING(service_user, certfile), .help = "PEM client certificate."},
    {STRING(service_user, keyfile), .help = "Key of the client certificate."},
    {BOOL(service_user, insecure), .default_value = "false",
     .help = "Does not verify Keystone's certificate."},
    {LAX_INT(service_user, timeout, 0, INT_MAX), .default_value = "0",
     .help = "Seconds for a request to Keystone. 0: the agent's own limits."},

    {RABBIT_BOOL(ssl), .default_value = "false", ALIAS({NULL, "rabbit_use_ssl", 16}),
     .help = "Connects with TLS."},
    {RABBIT_STRING(ssl_ca_file), .default_value = "", ALIAS({NULL, "kombu_ssl_ca_certs", 16}),
     .help = "PEM file of the authorities. Empty: the broker's certificate is not verified, as in "
             "oslo."},
    {RABBIT_STRING(ssl_cert_file), .default_value = "", ALIAS({NULL, "kombu_ssl_certfile", 16}),
     .help = "PEM client certificate."},
    {RABBIT_STRING(ssl_key_file), .default_value = "", ALIAS({NULL, "kombu_ssl_keyfile", 16}),
     .help = "Key of the client certificate."},
    {RABBIT_BOOL(ssl_enforce_hostname_verification), .default_value = "false",
     .newer = {INSTALLED_OSLO_MESSAGING, 18, 1, "true"},
     .help = "With ssl_ca_file: verifies that the certificate is the broker host's."},
    {RABBIT_STRING(rabbit_login_method), .default_value = "AMQPLAIN",
     .choices = "|PLAIN|AMQPLAIN|EXTERNAL|RABBIT-CR-DEMO|",
     ALIAS({"DEFAULT", "rabbit_login_method", 16}),
     .help = "How to log in. PLAIN is used unless this is EXTERNAL."},
    {RABBIT_INT(heartbeat_timeout_threshold_s, "heartbeat_timeout_threshold", 0, 65535),
     .default_value = "60",
     .help = "Seconds of silence after which the broker is considered down. 0: never."},
    {RABBIT_INT(rabbit_retry_interval_s, "rabbit_retry_interval", 0, INT_MAX), .default_value = "1",
     .help = "Seconds before connecting again."},
    {RABBIT_INT(rabbit_retry_backoff_s, "rabbit_retry_backoff", 0, INT_MAX), .default_value = "2",
     ALIAS({"DEFAULT", "rabbit_retry_backoff", 16}),
     .help = "Seconds by which that grows each time."},
    {RABBIT_INT(rabbit_interval_max_s, "rabbit_interval_max", 0, INT_MAX), .default_value = "30",
     .help = "The most it grows to."},
    {RABBIT_STRING(kombu_failover_strategy), .default_value = "round-robin",
     .choices = "|round-robin|shuffle|", .help = "How the next of several brokers is chosen."},
    {RABBIT_INT(kombu_missing_consumer_retry_timeout_s, "kombu_missing_consumer_retry_timeout", 0,
                INT_MAX),
     .default_value = "60", ALIAS({NULL, "kombu_reconnect_timeout", 0}),
     .help = "Seconds to go on answering a caller whose reply queue is missing."},
    {RABBIT_BOOL(amqp_durable_queues), .default_value = "false",
     ALIAS({"DEFAULT", "amqp_durable_queues", 9}, {"DEFAULT", "rabbit_durable_queues", 9}),
     .help = "Durable queues."},
    {RABBIT_BOOL(amqp_auto_delete), .default_value = "false",
     ALIAS({"DEFAULT", "amqp_auto_delete", 16}),
     .help = "Queues that go away with their last user."},
    {RABBIT_BOOL(rabbit_quorum_queue), .default_value = "false", .help = "Quorum queues."},
    {RABBIT_BOOL(rabbit_transient_quorum_queue), .default_value = "false",
     .help = "Quorum queues for replies and fanouts, too."},
    {RABBIT_BOOL(rabbit_stream_fanout), .default_value = "false",
     .help = "Others take fanouts from a stream: the exchange is durable."},
    {RABBIT_INT(rabbit_quorum_delivery_limit, "rabbit_quorum_delivery_limit", 0, INT_MAX),
     .default_value = "0", .help = "x-delivery-limit of quorum queues. 0: none."},
    {RABBIT_INT(rabbit_quorum_max_memory_length, "rabbit_quorum_max_memory_length", 0, INT_MAX),
     .default_value = "0", ALIAS({NULL, "rabbit_quroum_max_memory_length", 17}),
     .help = "x-max-in-memory-length of quorum queues. 0: none."},
    {RABBIT_INT(rabbit_quorum_max_memory_bytes, "rabbit_quorum_max_memory_bytes", 0, INT_MAX),
     .default_value = "0", ALIAS({NULL, "rabbit_quroum_max_memory_bytes", 17}),
     .help = "x-max-in-memory-bytes of quorum queues. 0: none."},
    {RABBIT_INT(rabbit_transient_queues_ttl_s, "rabbit_transient_queues_ttl", 0, INT_MAX),
     .default_value = "1800",
     .help = "Seconds after which an unused reply or fanout queue goes away. 0: never."},
    {RABBIT_INT(rabbit_qos_prefetch_count, "rabbit_qos_prefetch_count", 0, 65535),
     .default_value = "0", .help = "Messages the broker sends ahead. 0: no limit."},
    {RABBIT_BOOL(enable_cancel_on_failover), .default_value = "false",
     .help = "Asks for a cancel notice when a mirrored queue fails over."},

    /* It has a meaning, and is not served: see conf/load_transports.c. */
    {OTHERS(oslo_messaging_rabbit, kombu_compression)},

    /* Known to oslo, without a meaning for this bus: pools, Python's threads, dead features. */
    {OTHERS(oslo_messaging_rabbit, ssl_version)},
    {OTHERS(oslo_messaging_rabbit, ssl_enforce_fips_mode)},
    {OTHERS(oslo_messaging_rabbit, heartbeat_in_pthread)},
    {OTHERS(oslo_messaging_rabbit, heartbeat_rate)},
    {OTHERS(oslo_messaging_rabbit, kombu_reconnect_delay)},
    {OTHERS(oslo_messaging_rabbit, kombu_reconnect_splay)},
    {OTHERS(oslo_messaging_rabbit, rabbit_ha_queues)},
    {OTHERS(oslo_messaging_rabbit, direct_mandatory_flag)},
    {OTHERS(oslo_messaging_rabbit, rpc_conn_pool_size)},
    {OTHERS(oslo_messaging_rabbit, conn_pool_min_size)},
    {OTHERS(oslo_messaging_rabbit, conn_pool_ttl)},
    {OTHERS(oslo_messaging_rabbit, use_queue_manager)},
    {OTHERS(oslo_messaging_rabbit, hostname)},
    {OTHERS(oslo_messaging_rabbit, processname)},

    {MULTI(oslo_messaging_notifications, driver), ALIAS({"DEFAULT", "notification_driver", 16}),
     .help = "How notifications are sent: messagingv2, messaging, log, noop. None: they are not."},
    {LIST(oslo_messaging_notifications, topics), .default_value = "notifications",
     ALIAS({"rpc_notifier2", "topics", 16}, {"DEFAULT", "notification_topics", 16}),
     .help = "Topics of legacy notifications."},
    {STRING(oslo_messaging_notifications, transport_url), .secret = true, .url = true,
     ALIAS({"DEFAULT", "notification_transport_url", 16}),
     .help = "Where notifications go. Default: [DEFAULT]transport_url."},

    {STRING(notifications, notification_format), .default_value = "both",
     .newer = {INSTALLED_NOVA, 20, 0, "unversioned"}, .choices = "|both|versioned|unversioned|",
     ALIAS({"DEFAULT", "notification_format", 0}), .help = "Which notifications are sent."},
    {LIST(notifications, versioned_notifications_topics),
     .default_value = "versioned_notifications", .help = "Topics of versioned notifications."},
    {BOOL(notifications, bdms_in_notifications), .default_value = "false",
     .help = "Lists an instance's volumes in versioned notifications."},
    {BOOL(notifications, include_share_mapping), .default_value = "false",
     .help = "Lists an instance's shares in versioned notifications, of a Nova that has them."},

    {LIST(snapshot_agent, debug_modules), .default_value = "",
     .choices = "|agent|amqp|cinder_client|common|conf|control|driver|glance_client|",
     .help = "Parts of the agent whose debug lines are written, when debug is true. Empty: all."},
    {STRING(snapshot_agent, attach), .default_value = "shared", .choices = "|shared|exclusive|",
     .help =
         "shared: beside an unmodified nova-compute on its queue, putting back what is not served. "
         "exclusive: there is no nova-compute on this host name."},
    {STRING(snapshot_agent, state_dir), .default_value = "/var/lib/nova-snapshot-agent",
     .help =
         "The agent's own folder, on a disk that outlives the host: the journal of requests and "
         "the lock that keeps a second agent away from this host are there. What is in it is "
         "obeyed: it must belong to the agent's user alone (0700), and the folders above it to "
         "that user or root, so not to nova when the agent is root."},
    {STRING(snapshot_agent, control_socket), .default_value = CONTROL_SOCKET_PATH,
     .help =
         "UNIX socket on which the agent answers nova-snapshot(1). It is made for the agent's user "
         "alone, in a folder that has to be that user's alone as well and is made if it is "
         "missing. Empty: there is none."},
    {STRING(snapshot_agent, metrics_address),
     .help =
         "Where a Prometheus finds GET /metrics over TCP, in the clear, for everybody who reaches "
         "it: PORT, on 127.0.0.1 then, ADDRESS:PORT or [IPv6]:PORT. It is on control_socket in any "
         "case. Empty: nowhere else."},
    {STRING(snapshot_agent, nova_packages),
     .help =
         "Folder of the Python packages nova-compute runs from (.../site-packages). It tells the "
         "release, whose defaults and deprecated names are followed, and what $pybasedir is. "
         "Default: where distributions and deployment tools put them; where there is no nova the "
         "newest defaults and all names hold."},
    {INT(snapshot_agent, attach_poll_interval, 1, 3600), .default_value = "5",
     .help =
         "Seconds between looks whether nova-compute consumes the host's queue, while it does and "
         "while it does not. When attach is shared, the agent only serves beside it, and leaves "
         "the queue within this time when it ends. When attach is exclusive: seconds between "
         "attempts to consume the host's queues."},
    {INT(snapshot_agent, stall_timeout, 10, 86400), .default_value = "300",
     .help = "Seconds without any progress after which a block job, qemu-img or a transfer is "
             "given up."},
    {INT(snapshot_agent, scratch_reserve, 0, 1 << 30), .default_value = "1024",
     .help =
         "MiB that stay free on the file system of [libvirt]snapshots_directory. A snapshot for "
         "which there is no more room is streamed if it can be, and refused otherwise; one that "
         "comes to this while it is written is given up."},
    {INT(snapshot_agent, freeze_timeout, 1, 3600), .default_value = "30",
     .help = "Seconds the QEMU guest agent has to freeze the guest's file systems."},
    {INT(snapshot_agent, freeze_deadline, 1, 3600), .default_value = "60",
     .help = "Seconds after which a guest that was frozen for snapshots of its volumes is thawed, "
             "whatever became of them."},
    {INT(snapshot_agent, volume_snapshot_timeout, 10, 86400), .default_value = "600",
     .help =
         "Seconds Cinder has to finish a snapshot of a volume. Its request to snapshot an "
         "attached volume waits four fifths of them for another snapshot of the same server, "
         "one to delete such a snapshot ten times as long; then Cinder is told that it failed."},
    {STRING(snapshot_agent, live_snapshot_method), .default_value = "blockrebase",
     .choices = "|blockrebase|blockcopy|stream|",
     .help =
         "How the disk of a running guest is read. blockrebase: as nova does, its top layer is "
         "copied, with the domain undefined meanwhile. blockcopy: the same, but the domain stays "
         "defined. stream: nothing is copied, a backup job shows the disk of one instant while it "
         "is uploaded, and what the guest overwrites meanwhile is kept; libvirt takes no other job "
         "of this guest until then. Stopped guests are streamed too, running disks with an "
         "iothread only where their QEMU is known to be 9.0 or later. Where one cannot be used, "
         "stream gives way to blockcopy, and blockcopy and blockrebase to each other: blockrebase "
         "where "
         "undefining the domain could lose something (an emulated TPM, checkpoints or snapshots, a "
         "definition that libvirt would not take again)."},
    {STRING(snapshot_agent, compression_type), .default_value = "zlib", .choices = "|zlib|zstd|",
     .help = "How [libvirt]snapshot_compression compresses. zstd is several times as fast and as "
             "small; QEMU reads it from 5.1 on."},
    {INT(snapshot_agent, disk_rate_limit, 0, 1 << 20), .default_value = "0",
     .help =
         "MiB/s at which one snapshot reads its disk. It is lifted for a guest that writes about "
         "as fast, which could not be copied otherwise, and does not hold while a guest is down "
         "for its snapshot. 0: no limit."},
    {INT(snapshot_agent, disk_rate_limit_host, 0, 1 << 20), .default_value = "0",
     .help = "The same for all snapshots of the host together; one that is staged gets its share, "
             "with as many as max_concurrent_snapshots. 0: no limit."},
    {INT(snapshot_agent, upload_rate_limit, 0, 1 << 20), .default_value = "0",
     .help = "MiB/s at which one image is uploaded. 0: no limit."},
    {INT(snapshot_agent, upload_rate_limit_host, 0, 1 << 20), .default_value = "0",
     .help = "The same for all images of the host together. 0: no limit."},
    {BOOL(snapshot_agent, report_progress), .default_value = "true",
     .help =
         "Shows tenants how far a snapshot is: in the server's progress, each 5 % and 5 seconds "
         "at most, which is put back to what it was at the end. With nova's "
         "[notifications]notify_on_state_change set, each save of it also sends "
         "compute.instance.update."},
    {BOOL(snapshot_agent, image_provenance), .default_value = "true",
     .help =
         "Tells on the image how it was made: properties snapshot_method (and why not the wanted "
         "one), snapshot_quiesced (or why not), snapshot_instant (in UTC), snapshot_agent, and "
         "snapshot_mark, by which 'nova-snapshot clean' knows its own. A server that is booted "
         "from such an image hands them on to the images nova-compute makes of it, unless "
         "nova-api's [DEFAULT]non_inheritable_image_properties names these five, too."},
};
/* clang-format on */

const size_t options_count = sizeof(options_table) / sizeof(options_table[0]);

static bool is_alias(const struct option *option, const char *group, const char *name)
{
    for (size_t i = 0; i < OPTION_ALIASES_MAX && option->aliases[i].name; i++) {
        const struct option_name *alias = &option->aliases[i];
        if (strcmp(alias->name, name) == 0 &&
            strcmp(alias->group ? alias->group : option->group, group) == 0)
            return true;
    }
    return false;
}

const struct option *options_find(const char *group, const char *name)
{
    for (size_t i = 0; i < options_count; i++)
        if (strcmp(options_table[i].group, group) == 0 && strcmp(options_table[i].name, name) == 0)
            return &options_table[i];
    for (size_t i = 0; i < options_count; i++)
        if (is_alias(&options_table[i], group, name))
            return &options_table[i];
    return NULL;
}

bool options_is_rabbits(const struct option *option)
{
    return option->type != OPTION_OTHERS && strcmp(option->group, OPTIONS_RABBIT_GROUP) == 0;
}

void *options_rabbit_field(struct rabbit_options *rabbit, const struct option *option)
{
    return (char *)rabbit + (option->offset - offsetof(struct conf, oslo_messaging_rabbit));
}
