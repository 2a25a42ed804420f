/* SPDX-License-Identifier: Apache-2.0 */
/* conf/load.c and what it is made of: the table, the conversion, the substitution. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "conf/conf.h"
#include "conf/options.h"

static char folder[] = "/tmp/test-conf-XXXXXX";

static unsigned warnings;

void __real_log_write(enum log_level level, const struct log_place *place, const char *format, ...);
void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...);

void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
{
    (void)place, (void)format;
    warnings += level == LOG_LEVEL_WARNING;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[64];
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static const char *write_file(const char *name, const char *text)
{
    static char path[4][256];
    static unsigned next;
    char *p = path[next++ % 4];
    (void)snprintf(p, sizeof(path[0]), "%s/%s", folder, name);
    FILE *file = fopen(p, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return p;
}

/* Loads one file of the given text; NULL with *err filled when it is refused. The installed nova is
 * that of `packages`. */
static struct conf *load_with(const char *packages, const char *text, struct error *err)
{
    char own[512];
    struct conf *conf = NULL;
    (void)snprintf(own, sizeof(own), "[snapshot_agent]\nnova_packages = %s\n", packages);
    const struct conf_source sources[] = {{write_file("zero.conf", own), false},
                                          {write_file("one.conf", text), false}};
    int r = conf_load(sources, 2, &conf, err);
    assert_int_equal(r == 0, conf != NULL);
    (void)unlink(sources[0].path);
    (void)unlink(sources[1].path);
    return conf;
}

/* Where no nova is to be seen. */
static struct conf *load_text(const char *text, struct error *err)
{
    return load_with("/nonexistent", text, err);
}

static struct conf *load_good(const char *text)
{
    struct error err = ERROR_INIT;
    struct conf *conf = load_text(text, &err);
    if (!conf)
        fail_msg("%s", err.message);
    return conf;
}

static void defaults_are_novas(void **state)
{
    (void)state;
    struct conf *conf = load_good("");
    char host[256];
    assert_int_equal(gethostname(host, sizeof(host)), 0);
    assert_string_equal(conf->DEFAULT.host, host);
    assert_string_equal(conf->libvirt.snapshots_directory, "/var/lib/nova/instances/snapshots");
    assert_int_equal(conf->DEFAULT.max_concurrent_snapshots, 5);
    assert_null(conf->libvirt.snapshot_image_format);
    assert_string_equal(conf->glance.valid_interfaces[0], "internal");
    assert_string_equal(conf->glance.valid_interfaces[1], "public");
    assert_null(conf->glance.valid_interfaces[2]);
    assert_null(conf->glance.api_servers[0]);
    assert_string_equal(conf->cinder.catalog_info, "volumev3::publicURL");
    assert_null(conf->cinder.endpoint_template);
    assert_null(conf->cinder.os_region_name);
    assert_int_equal(conf->cinder.http_retries, 3);
    assert_false(conf->cinder.insecure);
    assert_null(conf->oslo_messaging_notifications.driver[0]);
    assert_string_equal(conf->notifications.notification_format, "unversioned");
    assert_string_equal(conf->snapshot_agent.attach, "shared");
    conf_free(conf);
}

/* Who only compares, as doctor does at each look, repeats no warning. */
static void warnings_are_given_once(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct conf *started = NULL, *read = NULL;
    const struct conf_source source = {
        write_file("warns.conf",
                   "[DEFAULT]\nconfig_source = etcd\n"
                   "transport_url = rabbit://h/?no_such=1&heartbeat_timeout_threshold=90000"
                   "&kombu_compression=gzip\n"
                   "[oslo_messaging_notifications]\ntransport_url = kafka://n/\n"
                   "[oslo_messaging_rabbit]\nheartbeat_timeout_threshold = 100000\n"
                   "[service_user]\ninsecure = maybe\n"),
        false};
    warnings = 0;
    assert_int_equal(conf_load(&source, 1, &started, &err), 0);
    unsigned given = warnings;
    assert_int_equal(conf_load_to_compare(&source, 1, &read, &err), 0);
    (void)unlink(source.path);
    assert_int_equal(given, 7);
    assert_int_equal(warnings, given);
    assert_int_equal(read->oslo_messaging_rabbit.heartbeat_timeout_threshold_s,
                     started->oslo_messaging_rabbit.heartbeat_timeout_threshold_s);
    conf_free(started);
    conf_free(read);
}

static void a_lists_items_are_of_its_choices(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct conf *conf = load_good("[snapshot_agent]\ndebug_modules = amqp, driver\n");
    assert_string_equal(conf->snapshot_agent.debug_modules[0], "amqp");
    assert_string_equal(conf->snapshot_agent.debug_modules[1], "driver");
    assert_null(conf->snapshot_agent.debug_modules[2]);
    conf_free(conf);
    assert_null(load_text("[snapshot_agent]\ndebug_modules = amqp,drive\n", &err));
    assert_non_null(
        strstr(err.message, "[snapshot_agent]debug_modules: 'drive' is none of agent|"));
}

static void values_refer_to_others(void **state)
{
    (void)state;
    static const struct {
        const char *text, *directory;
    } rows[] = {
        {"[DEFAULT]\nstate_path = /s\n", "/s/instances/snapshots"},
        {"[DEFAULT]\ninstances_path = /i\n", "/i/snapshots"},
        {"[libvirt]\nsnapshots_directory = ${state_path}x\n", "/var/lib/novax"},
        {"[libvirt]\nsnapshots_directory = $DEFAULT.state_path/y\n", "/var/lib/nova/y"},
        {"[libvirt]\nsnapshots_directory = /$virt_type/${libvirt.virt_type}\n", "/kvm/kvm"},
        {"[libvirt]\nsnapshots_directory = /$$a\\$b/$/${\n", "/$a$b/$/${"},
        {"[other]\nmine = /o\n[libvirt]\nsnapshots_directory = ${other.mine}/z\n", "/o/z"},
        {"[DEFAULT]\nmine = /m\n[libvirt]\nsnapshots_directory = $mine\n", "/m"},
        {"[libvirt]\nsnapshots_directory = /a$snapshot_image_format/b\n", "/a/b"},
        {"[libvirt]\nsnapshots_directory = $pybasedir/x\n", "/var/lib/nova/x"},
        {"[DEFAULT]\nmy_ip = 192.0.2.7\n[libvirt]\nsnapshots_directory = /$my_block_storage_ip\n",
         "/192.0.2.7"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct conf *conf = load_good(rows[i].text);
        assert_string_equal(conf->libvirt.snapshots_directory, rows[i].directory);
        conf_free(conf);
    }
}

static void booleans_and_lists_in_oslos_forms(void **state)
{
    (void)state;
    struct conf *conf = load_good("[libvirt]\nsnapshot_compression = On\n"
                                  "[glance]\ninsecure = 1\napi_servers = http://a , http://b,,\n"
                                  "[oslo_messaging_notifications]\ndriver = messagingv2\n"
                                  "driver = log\n");
    assert_true(conf->libvirt.snapshot_compression);
    assert_true(conf->glance.insecure);
    assert_string_equal(conf->glance.api_servers[0], "http://a");
    assert_string_equal(conf->glance.api_servers[1], "http://b");
    assert_null(conf->glance.api_servers[2]);
    assert_string_equal(conf->oslo_messaging_notifications.driver[0], "messagingv2");
    assert_string_equal(conf->oslo_messaging_notifications.driver[1], "log");
    assert_null(conf->oslo_messaging_notifications.driver[2]);
    conf_free(conf);
}

static void deprecated_names_still_work(void **state)
{
    (void)state;
    struct conf *conf = load_good("[DEFAULT]\namqp_durable_queues = yes\n"
                                  "[ssl]\nca_file = /ca\n"
                                  "[service_user]\nuser-name = nova\ntenant-name = service\n"
                                  "[oslo_messaging_rabbit]\nrabbit_quroum_max_memory_bytes = 9\n"
                                  "ssl_ca_file = /new\nkombu_ssl_ca_certs = /old\n");
    assert_true(conf->oslo_messaging_rabbit.amqp_durable_queues);
    assert_string_equal(conf->glance.cafile, "/ca");
    assert_string_equal(conf->service_user.username, "nova");
    assert_string_equal(conf->service_user.project_name, "service");
    assert_int_equal(conf->oslo_messaging_rabbit.rabbit_quorum_max_memory_bytes, 9U);
    assert_string_equal(conf->oslo_messaging_rabbit.ssl_ca_file, "/new");
    conf_free(conf);
}

static void auth_section_moves_the_credentials(void **state)
{
    (void)state;
    struct conf *conf = load_good("[service_user]\nauth_section = keystone_authtoken\n"
                                  "password = here\ncafile = /session\n"
                                  "[keystone_authtoken]\npassword = there\nusername = nova\n");
    assert_string_equal(conf->service_user.password, "there");
    assert_string_equal(conf->service_user.username, "nova");
    assert_string_equal(conf->service_user.cafile, "/session");
    conf_free(conf);
}

static void later_sources_win(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct conf *conf = NULL;
    char sub[300];
    (void)snprintf(sub, sizeof(sub), "%s/d", folder);
    assert_int_equal(mkdir(sub, 0700), 0);
    const char *files[] = {
        write_file("b.conf", "[DEFAULT]\nhost = b\nstate_path = /b\ndebug = true\n"),
        write_file("d/20.conf", "[DEFAULT]\nhost = twenty\n"),
        write_file("d/10.conf", "[DEFAULT]\nhost = ten\ninstances_path = /ten\n"),
        write_file("a.conf", "[DEFAULT]\nstate_path = /a\ninstances_path = /a\n"),
    };
    const struct conf_source sources[] = {{files[0], false}, {sub, true}, {files[3], false}};
    assert_int_equal(conf_load(sources, 3, &conf, &err), 0);
    assert_string_equal(conf->DEFAULT.host, "twenty");
    assert_string_equal(conf->DEFAULT.state_path, "/a");
    assert_string_equal(conf->DEFAULT.instances_path, "/a");
    assert_true(conf->DEFAULT.debug);
    conf_free(conf);
    for (size_t i = 0; i < 4; i++)
        (void)unlink(files[i]);
    (void)rmdir(sub);
}

static void unknown_keys_matter_only_in_the_own_group(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    conf_free(load_good("[DEFAULT]\nno_such = 1\n[libvirt]\nnor_this = 2\n[what]\never = 3\n"));
    assert_null(load_text("[snapshot_agent]\nattach = shared\nno_such = 1\n", &err));
    assert_non_null(strstr(err.message, "one.conf:3: [snapshot_agent] has no option 'no_such'"));
}

static void bad_values_name_file_line_and_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *what;
    } rows[] = {
        {"[libvirt]\nsnapshot_compression = maybe\n", "one.conf:2: [libvirt]snapshot_compression",
         "no boolean"},
        {"[DEFAULT]\n\nmax_concurrent_snapshots = -1\n", "one.conf:3:", "from 0 to"},
        {"[DEFAULT]\nmax_concurrent_snapshots = 5x\n", "one.conf:2:", "whole number"},
        {"[DEFAULT]\nmax_concurrent_snapshots = 1__0\n", "one.conf:2:", "whole"},
        {"[DEFAULT]\nmax_concurrent_snapshots = +\n", "one.conf:2:", "whole"},
        {"[libvirt]\nsnapshot_image_format = qcow\n", "one.conf:2:", "raw|qcow2|vmdk|vdi"},
        {"[libvirt]\nsnapshot_image_format = raw|qcow2\n", "one.conf:2:", "raw|qcow2|vmdk|vdi"},
        {"[libvirt]\nsnapshots_directory = $no_such/x\n", "one.conf:2:", "'no_such'"},
        {"[DEFAULT]\nstate_path = $instances_path\n", "state_path", "circle"},
        {"[snapshot_agent]\nattach = both\n", "one.conf:2:", "shared|exclusive"},
        {"[snapshot_agent]\nstall_timeout = 1\n", "one.conf:2:", "from 10 to"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        assert_null(load_text(rows[i].text, &err));
        if (!strstr(err.message, rows[i].where) || !strstr(err.message, rows[i].what))
            fail_msg("row %zu: %s", i, err.message);
    }
}

static void values_that_double_themselves_are_bounded(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char text[4096] = "[DEFAULT]\na0 = xxxxxxxxxxxxxxxx\n";
    for (int i = 1; i < 15; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "a%d = $a%d$a%d$a%d$a%d\n", i, i - 1,
                       i - 1, i - 1, i - 1);
    }
    (void)strncat(text, "state_path = $a14\n", sizeof(text) - strlen(text) - 1);
    assert_null(load_text(text, &err));
    assert_non_null(strstr(err.message, "grows beyond"));
}

static void an_empty_number_is_an_unset_one(void **state)
{
    (void)state;
    struct conf *conf = load_good("[DEFAULT]\nmax_concurrent_snapshots =\n"
                                  "graceful_shutdown_timeout = ' '\n[glance]\ntimeout = \n");
    assert_int_equal(conf->DEFAULT.graceful_shutdown_timeout, 0); /* no limit, as to nova */
    assert_int_equal(conf->DEFAULT.max_concurrent_snapshots, 5);
    conf_free(conf);
}

/* openstack-ansible's default; and all that only Python needs. */
static void the_query_of_a_url_changes_rabbits_options(void **state)
{
    (void)state;
    struct conf *conf = load_good(
        "[DEFAULT]\ntransport_url = rabbit://u:p@h:5671//nova?ssl=1&ssl_version=TLSv1_2&"
        "ssl_ca_file=/ca&heartbeat_timeout_threshold=7&rabbit_quorum_queue=on&"
        "amqp_durable_queues=no&empty=&rabbit_quroum_max_memory_bytes=5&no_such=1&heartbeat_rate=3&"
        "heartbeat_in_pthread=x&kombu_reconnect_delay=2.5&hostname=h&processname=p&"
        "use_queue_manager=1\n"
        "[oslo_messaging_rabbit]\namqp_durable_queues = true\nrabbit_interval_max = 9\n");
    assert_true(conf->oslo_messaging_rabbit.ssl);
    assert_string_equal(conf->oslo_messaging_rabbit.ssl_ca_file, "/ca");
    assert_int_equal(conf->oslo_messaging_rabbit.heartbeat_timeout_threshold_s, 7);
    assert_true(conf->oslo_messaging_rabbit.rabbit_quorum_queue);
    assert_false(conf->oslo_messaging_rabbit.amqp_durable_queues);
    assert_int_equal(conf->oslo_messaging_rabbit.rabbit_interval_max_s, 9);
    assert_int_equal(conf->oslo_messaging_rabbit.rabbit_quorum_max_memory_bytes, 5);
    assert_null(conf->notification_url);
    assert_string_equal(conf->url->virtual_host, "/nova");
    conf_free(conf);
}

static void each_url_has_its_own_query(void **state)
{
    (void)state;
    struct conf *conf =
        load_good("[DEFAULT]\ntransport_url = rabbit://u:p@h:5671/?ssl=1&rabbit_interval_max=5\n"
                  "[oslo_messaging_notifications]\ntransport_url = rabbit://u:p@n/?ssl_ca_file=/n\n"
                  "[oslo_messaging_rabbit]\nrabbit_retry_backoff = 8\nssl_ca_file = /r\n");
    assert_true(conf->oslo_messaging_rabbit.ssl);
    assert_false(conf->notification_rabbit.ssl);
    assert_string_equal(conf->oslo_messaging_rabbit.ssl_ca_file, "/r");
    assert_string_equal(conf->notification_rabbit.ssl_ca_file, "/n");
    assert_int_equal(conf->oslo_messaging_rabbit.rabbit_interval_max_s, 5);
    assert_int_equal(conf->notification_rabbit.rabbit_interval_max_s, 30);
    assert_int_equal(conf->oslo_messaging_rabbit.rabbit_retry_backoff_s, 8);
    assert_int_equal(conf->notification_rabbit.rabbit_retry_backoff_s, 8);
    assert_string_equal(conf->notification_url->hosts[0].hostname, "n");
    conf_free(conf);
}

static void notifications_may_go_another_way(void **state)
{
    (void)state;
    struct conf *conf = load_good("[oslo_messaging_notifications]\n"
                                  "transport_url = kafka://u:s3cret@n:9092/?x=y\n");
    assert_true(conf->notifications_elsewhere);
    assert_null(conf->notification_url);
    conf_free(conf);
    struct error err = ERROR_INIT;
    assert_null(load_text("[DEFAULT]\ntransport_url = kafka://u:s3cret@n:9092/\n", &err));
    assert_null(load_text("[oslo_messaging_notifications]\ntransport_url = rabbit:/n\n", &err));
}

static void bad_queries_are_refused(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "ssl=maybe",
        "ssl=1&ssl=1",
        "heartbeat_timeout_threshold=1.5",
        "heartbeat_timeout_threshold=x",
        "rabbit_login_method=PLAN",
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct error err = ERROR_INIT;
        char text[256];
        (void)snprintf(text, sizeof(text), "[DEFAULT]\ntransport_url = rabbit://u:s3cret@h/?%s\n",
                       queries[i]);
        assert_null(load_text(text, &err));
        assert_non_null(strstr(err.message, "[DEFAULT]transport_url: "));
        assert_null(strstr(err.message, "s3cret"));
    }
}

/* A folder of packages as pip makes it. */
static const char *packages_of(const char *nova, const char *messaging)
{
    static char path[256];
    static unsigned next;
    char name[300];
    (void)snprintf(path, sizeof(path), "%s/packages%u", folder, next++);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(name, sizeof(name), "%s/nova-%s.dist-info", path, nova);
    assert_int_equal(mkdir(name, 0700), 0);
    (void)snprintf(name, sizeof(name), "%s/oslo%smessaging-%s.dist-info", path,
                   messaging[1] == '4' ? "." : "_", messaging);
    assert_int_equal(mkdir(name, 0700), 0);
    return path;
}

static void defaults_and_names_follow_the_release(void **state)
{
    (void)state;
    static const struct {
        const char *nova, *messaging;
        int graceful, gib, retries;
        bool verifies, old_names, very_old_names;
    } rows[] = {
        {"26.2.2", "14.0.3", 60, 1, 3, false, true, false},
        {"31.0.0", "17.0.0", 60, 1, 3, false, false, false},
        {"33.0.1", "18.1.0", 180, 1, 3, true, false, false},
        {"18.0.0", "8.1.4", 60, 1, 0, false, true, true},
        {"none", "none", 180, 2, 3, true, true, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        struct conf *conf = load_with(packages_of(rows[i].nova, rows[i].messaging),
                                      "[DEFAULT]\nnotification_driver = log\n"
                                      "amqp_durable_queues = 1\n"
                                      "[oslo_messaging_rabbit]\nrabbit_use_ssl = 1\n",
                                      &err);
        assert_non_null(conf);
        assert_int_equal(conf->DEFAULT.graceful_shutdown_timeout, rows[i].graceful);
        assert_int_equal(conf->libvirt.images_address_space_limit, rows[i].gib);
        assert_int_equal(conf->glance.num_retries, rows[i].retries);
        assert_int_equal(conf->oslo_messaging_rabbit.ssl_enforce_hostname_verification,
                         rows[i].verifies);
        assert_int_equal(conf->oslo_messaging_rabbit.ssl, rows[i].old_names);
        assert_int_equal(conf->oslo_messaging_notifications.driver[0] != NULL, rows[i].old_names);
        assert_int_equal(conf->oslo_messaging_rabbit.amqp_durable_queues, rows[i].very_old_names);
        conf_free(conf);
    }
}

static void the_environment_comes_before_the_files(void **state)
{
    (void)state;
    assert_int_equal(setenv("OS_DEFAULT__HOST", "from-$console", 1), 0);
    assert_int_equal(setenv("OS_KEYSTONE_AUTHTOKEN__PASSWORD", "there", 1), 0);
    assert_int_equal(setenv("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER", "l\u00f6g", 1), 0);
    assert_int_equal(setenv("OS_SNAPSHOT_AGENT__ATTACH", "exclusive", 1), 0);
    assert_int_equal(setenv("OS_AUTH_URL", "http://no.option", 1), 0);
    struct conf *conf = load_good("[DEFAULT]\nhost = file\nconsole = c\n"
                                  "[service_user]\nauth_section = keystone_authtoken\n"
                                  "[keystone_authtoken]\npassword = here\n");
    assert_string_equal(conf->DEFAULT.host, "from-c");
    assert_string_equal(conf->service_user.password, "there");
    assert_string_equal(conf->snapshot_agent.attach, "exclusive");
    assert_string_equal(conf->oslo_messaging_notifications.driver[1], "\u00f6");
    assert_string_equal(conf->oslo_messaging_notifications.driver[2], "g");
    conf_free(conf);
    assert_int_equal(unsetenv("OS_DEFAULT__HOST"), 0);
    assert_int_equal(unsetenv("OS_KEYSTONE_AUTHTOKEN__PASSWORD"), 0);
    assert_int_equal(unsetenv("OS_OSLO_MESSAGING_NOTIFICATIONS__DRIVER"), 0);
    assert_int_equal(unsetenv("OS_SNAPSHOT_AGENT__ATTACH"), 0);
}

static void what_nova_bears_is_borne(void **state)
{
    (void)state;
    struct conf *conf = load_good(
        "[DEFAULT]\nmax_concurrent_snapshots = ' +1_0 '\nrpc_response_timeout = 0\n"
        "graceful_shutdown_timeout = 99999999999999999999\n"
        "[glance]\nnum_retries = 500\napi_servers = ' http://a,,\u00a0http://b, ,'\n"
        "[service_user]\nauth_type = v3oidcpassword\npassword = pa$$$word\ntimeout = never\n"
        "[oslo_messaging_notifications]\ndriver =\ntopics = a,,b\n"
        "[oslo_messaging_rabbit]\nheartbeat_timeout_threshold = -1\n");
    assert_int_equal(conf->DEFAULT.max_concurrent_snapshots, 10);
    assert_int_equal(conf->DEFAULT.rpc_response_timeout, 1);
    assert_int_equal(conf->DEFAULT.graceful_shutdown_timeout, 4000000);
    assert_int_equal(conf->glance.num_retries, 500);
    assert_string_equal(conf->glance.api_servers[1], "");
    assert_string_equal(conf->glance.api_servers[2], "http://b");
    assert_string_equal(conf->glance.api_servers[3], "");
    assert_null(conf->glance.api_servers[4]);
    assert_string_equal(conf->oslo_messaging_notifications.driver[0], "");
    assert_string_equal(conf->oslo_messaging_notifications.topics[1], "");
    assert_int_equal(conf->oslo_messaging_rabbit.heartbeat_timeout_threshold_s, 0);
    conf_free(conf);
    struct error err = ERROR_INIT;
    assert_null(load_text("[service_user]\nsend_service_user_token = 1\ntimeout = never\n", &err));
    assert_non_null(strstr(err.message, "one.conf:3: [service_user]timeout"));
}

static char *written(void (*write)(FILE *))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    write(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void the_sample_is_complete_and_changes_nothing(void **state)
{
    (void)state;
    char *sample = written(conf_write_sample);
    struct conf *conf = load_good(sample);
    assert_int_equal(conf->DEFAULT.max_concurrent_snapshots, 5);
    conf_free(conf);
    char *man = written(conf_write_man);
    for (size_t i = 0; i < options_count; i++) {
        if (options_table[i].type == OPTION_OTHERS)
            continue;
        assert_non_null(strstr(sample, options_table[i].name));
        assert_non_null(options_table[i].help);
    }
    assert_non_null(strstr(man, ".SS [snapshot_agent]"));
    free(sample);
    free(man);
}

static char *effective(const struct conf *conf)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_write_effective(conf, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    struct conf *conf = load_good("[DEFAULT]\ntransport_url = rabbit://u:sesame@h/v?ssl=1\n"
                                  "[service_user]\npassword = sesame\n"
                                  "application_credential_secret = sesame\n"
                                  "[oslo_messaging_notifications]\n"
                                  "transport_url = rabbit://n:sesame@n/\n");
    char *text = effective(conf);
    assert_null(strstr(text, "sesame"));
    assert_non_null(strstr(text, "\npassword = ****  # "));
    assert_non_null(strstr(text, "\ntransport_url = rabbit://u:****@h/v?ssl=1  # "));
    assert_non_null(strstr(text, "\ntransport_url = rabbit://n:****@n/  # "));
    free(text);
    conf_free(conf);
}

static void it_is_told_where_each_value_is_from(void **state)
{
    (void)state;
    assert_int_equal(setenv("OS_LIBVIRT__RBD_USER", "e", 1), 0);
    struct conf *conf = load_good(
        "[DEFAULT]\n\nhost = h\ntransport_url = rabbit://h/?rabbit_interval_max=7\n"
        "[oslo_messaging_rabbit]\nrabbit_interval_max = 6\nkombu_ssl_keyfile = /k\n"
        "[oslo_messaging_notifications]\ntransport_url = rabbit://n/?rabbit_interval_max=8\n");
    char *text = effective(conf);
    assert_non_null(strstr(text, "\ndebug = false  # default\n"));
    assert_non_null(strstr(text, "/one.conf:3\n"));
    assert_non_null(strstr(text, "\nrbd_user = e  # environment: OS_LIBVIRT__RBD_USER\n"));
    assert_non_null(strstr(text, "\nrabbit_interval_max = 7  # query of [DEFAULT]transport_url\n"));
    assert_non_null(strstr(text, "/one.conf:7, [oslo_messaging_rabbit]kombu_ssl_keyfile\n"));
    assert_non_null(strstr(text, "\n[oslo_messaging_rabbit] of notifications\n"));
    assert_non_null(strstr(text, "\nrabbit_interval_max = 8  # query of "
                                 "[oslo_messaging_notifications]transport_url\n"));
    free(text);
    conf_free(conf);
    assert_int_equal(unsetenv("OS_LIBVIRT__RBD_USER"), 0);
}

static void a_secret_is_not_in_the_error(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    assert_null(
        load_text("[service_user]\nsend_service_user_token = 1\npassword = a$s3cret\n", &err));
    assert_non_null(strstr(err.message, "[service_user]password"));
    assert_null(strstr(err.message, "s3cret"));
    assert_null(load_text("[DEFAULT]\ntransport_url = rabbit://u:a$s3cret@h/\n", &err));
    assert_null(strstr(err.message, "s3cret"));
}

static void note_difference(void *arg, const char *group, const char *name)
{
    char *text = arg;
    size_t used = strlen(text);
    (void)snprintf(text + used, 512 - used, "[%s]%s ", group, name);
}

static const char *differences(const char *text_a, const char *text_b)
{
    static char text[512];
    struct conf *a = load_good(text_a);
    struct conf *b = load_good(text_b);
    text[0] = '\0';
    conf_compare(a, b, note_difference, text);
    conf_free(a);
    conf_free(b);
    return text;
}

static void differences_are_named_without_their_values(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *differs;
    } rows[] = {
        {"", "", ""},
        {"", "[libvirt]\nrbd_user =\n", ""},
        {"", "[DEFAULT]\nmax_concurrent_snapshots = 5\n", ""},
        {"", "[DEFAULT]\ndebug = true\n", "[DEFAULT]debug "},
        {"", "[DEFAULT]\nstate_path = /x\n",
         "[DEFAULT]state_path [DEFAULT]instances_path [libvirt]snapshots_directory "},
        {"[service_user]\npassword = s3cret\n", "[service_user]\npassword = other\n",
         "[service_user]password "},
        {"[glance]\nvalid_interfaces = a,b\n", "[glance]\nvalid_interfaces = a, b\n", ""},
        {"[glance]\nvalid_interfaces = a,b\n", "[glance]\nvalid_interfaces = a\n",
         "[glance]valid_interfaces "},
        {"[glance]\nvalid_interfaces = a,b\n", "[glance]\nvalid_interfaces = b,a\n",
         "[glance]valid_interfaces "},
        {"", "[oslo_messaging_notifications]\ndriver = noop\n",
         "[oslo_messaging_notifications]driver "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(differences(rows[i].a, rows[i].b), rows[i].differs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_novas),
        cmocka_unit_test(warnings_are_given_once),
        cmocka_unit_test(a_lists_items_are_of_its_choices),
        cmocka_unit_test(values_refer_to_others),
        cmocka_unit_test(booleans_and_lists_in_oslos_forms),
        cmocka_unit_test(deprecated_names_still_work),
        cmocka_unit_test(auth_section_moves_the_credentials),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(unknown_keys_matter_only_in_the_own_group),
        cmocka_unit_test(bad_values_name_file_line_and_what_was_expected),
        cmocka_unit_test(values_that_double_themselves_are_bounded),
        cmocka_unit_test(an_empty_number_is_an_unset_one),
        cmocka_unit_test(the_query_of_a_url_changes_rabbits_options),
        cmocka_unit_test(each_url_has_its_own_query),
        cmocka_unit_test(notifications_may_go_another_way),
        cmocka_unit_test(bad_queries_are_refused),
        cmocka_unit_test(defaults_and_names_follow_the_release),
        cmocka_unit_test(the_environment_comes_before_the_files),
        cmocka_unit_test(what_nova_bears_is_borne),
        cmocka_unit_test(it_is_told_where_each_value_is_from),
        cmocka_unit_test(the_sample_is_complete_and_changes_nothing),
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(differences_are_named_without_their_values),
        cmocka_unit_test(a_secret_is_not_in_the_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
