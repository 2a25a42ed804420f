/* SPDX-License-Identifier: Apache-2.0 */
/* driver/libvirt/connection.c and libvirt.c against libvirt's own test driver, in this process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "driver/libvirt_driver.h"
#include "driver/libvirt_driver_private.h"
#include "tests/unit/canceller.h"
#include "tests/unit/driver/temp_folder.h"

#define MISSING "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"
#define UUID "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"

static char uri[512];
static const struct guest_id guest = {.uuid = UUID, .root_device_name = "/dev/vda"};
static const struct guest_id missing = {.uuid = MISSING};

/* A hypervisor of one running guest with a raw root disk. */
static int set_up(void **state)
{
    if (temp_folder_make(state))
        return -1;
    FILE *file = fopen(temp_path("node.xml"), "we");
    if (!file)
        return -1;
    (void)fprintf(file,
                  "<node><domain type='test'><name>guest</name><uuid>%s</uuid>"
                  "<memory>65536</memory><os><type>hvm</type></os><devices>"
                  "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                  "<source file='%s'/><target dev='vda' bus='virtio'/></disk>"
                  "</devices></domain></node>",
                  UUID, temp_path("disk"));
    (void)fclose(file);
    file = fopen(temp_path("disk"), "we");
    if (!file || ftruncate(fileno(file), 1 << 20) < 0)
        return -1;
    (void)fclose(file);
    (void)snprintf(uri, sizeof(uri), "test://%s", temp_path("node.xml"));
    return 0;
}

static struct driver *new_driver(void)
{
    struct driver *driver = NULL;
    struct error err = ERROR_INIT;
    const struct libvirt_driver_options options = {.connection_uri = uri,
                                                   .virt_type = "qemu",
                                                   .snapshots_directory = temp_path("snapshots"),
                                                   .instances_path = temp_folder,
                                                   .stall_timeout_s = 10,
                                                   .freeze_timeout_s = 5};
    if (libvirt_driver_new(&options, &driver, &err) < 0)
        fail_msg("%s", err.message);
    return driver;
}

static void domain_is_read(void **state)
{
    (void)state;
    struct driver *driver = new_driver();
    struct error err = ERROR_INIT;
    enum power_state power_state;
    struct guest_info info;
    assert_int_equal(driver->ops->get_power_state(driver, UUID, &power_state, &err), 0);
    assert_int_equal(power_state, POWER_STATE_RUNNING);
    assert_int_equal(driver->ops->get_power_state(driver, MISSING, &power_state, &err), 0);
    assert_int_equal(power_state, POWER_STATE_NOSTATE);
    if (driver->ops->inspect(driver, &guest, &info, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(info.uuid, UUID);
    assert_string_equal(info.disk_path, temp_path("disk"));
    assert_string_equal(info.disk_format, "raw");
    assert_string_equal(info.disk_target, "vda");
    assert_int_equal(info.power_state, POWER_STATE_RUNNING);
    assert_true(info.persistent);
    assert_false(info.connection_is_qemu);
    assert_true(info.virtual_size_bytes == 1 << 20);
    assert_int_equal(driver->ops->inspect(driver, &missing, &info, &err), -ENOENT);
    assert_string_equal(err.exc, EXC_INSTANCE_NOT_RUNNING);
    driver_free(driver);
}

/* libvirt's test driver knows no block copy and no guest agent: an error, and all as before. */
static void live_snapshot_is_not_known_there(void **state)
{
    (void)state;
    struct driver *driver = new_driver();
    struct error err = ERROR_INIT;
    struct guest_info info;
    struct snapshot_result result = {0};
    const struct snapshot_plan plan = {.method = SNAPSHOT_METHOD_BLOCKREBASE,
                                       .image_format = "raw"};
    assert_int_equal(driver->ops->inspect(driver, &guest, &info, &err), 0);
    assert_true(driver->ops->extract(driver, &info, &plan, &result, &err) < 0);
    assert_string_equal(err.exc, EXC_LIBVIRT_ERROR);
    assert_null(result.image);
    driver_free(driver);
}

static void cold_snapshot_stops_and_starts_the_guest(void **state)
{
    (void)state;
    struct driver *driver = new_driver();
    struct error err = ERROR_INIT;
    struct guest_info info;
    struct snapshot_result result = {0};
    enum power_state power_state;
    const struct snapshot_plan plan = {.method = SNAPSHOT_METHOD_COLD, .image_format = "raw"};
    assert_int_equal(driver->ops->inspect(driver, &guest, &info, &err), 0);
    if (driver->ops->extract(driver, &info, &plan, &result, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(result.image->size_bytes == 1 << 20);
    image_source_close(result.image);
    assert_int_equal(driver->ops->get_power_state(driver, UUID, &power_state, &err), 0);
    assert_int_equal(power_state, POWER_STATE_RUNNING);
    driver_free(driver);
}

static void events_reach_the_watch(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct domain_watch *watch = NULL;
    struct domain_news news = DOMAIN_NEWS_INIT;
    struct error err = ERROR_INIT;
    virDomainPtr domain = NULL;
    assert_int_equal(libvirt_connection_new(uri, &connection, &err), 0);
    assert_int_equal(libvirt_connection_watch(connection, UUID, "vda", 0, &watch, &err), 0);
    assert_int_equal(
        libvirt_connection_find_domain(connection, UUID, 0, EXC_INSTANCE_NOT_FOUND, &domain, &err),
        0);
    assert_int_equal(virDomainDestroy(domain), 0);
    assert_true(domain_watch_wait(watch, 20000, &news));
    assert_true(news.stopped);
    assert_false(news.started);
    assert_int_equal(virDomainCreate(domain), 0);
    assert_true(domain_watch_wait(watch, 20000, &news));
    assert_true(news.started);
    virDomainFree(domain);
    domain_watch_free(watch);
    libvirt_connection_free(connection);
    libvirt_connection_free(NULL);
}

/* Of what auth.conf does not answer nobody is asked, a daemon has no terminal. */
static void credentials_are_those_of_auth_conf(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct error err = ERROR_INIT;
    virConnectPtr conn = NULL;
    char guarded_uri[512];
    FILE *file = fopen(temp_path("guarded.xml"), "we");
    assert_non_null(file);
    (void)fputs("<node><auth><user password='secret'>nova</user></auth></node>", file);
    (void)fclose(file);
    (void)snprintf(guarded_uri, sizeof(guarded_uri), "test://%s", temp_path("guarded.xml"));
    assert_int_equal(setenv("LIBVIRT_AUTH_FILE", temp_path("auth.conf"), 1), 0);
    assert_int_equal(libvirt_connection_new(guarded_uri, &connection, &err), 0);
    assert_int_equal(libvirt_connection_get(connection, 0, &conn, &err), -EIO);
    file = fopen(temp_path("auth.conf"), "we");
    assert_non_null(file);
    (void)fputs("[credentials-c]\nusername=nova\npassword=secret\n"
                "[auth-test-localhost]\ncredentials=c\n",
                file);
    (void)fclose(file);
    if (libvirt_connection_get(connection, 0, &conn, &err) < 0)
        fail_msg("%s", err.message);
    (void)virConnectClose(conn);
    libvirt_connection_free(connection);
    (void)unsetenv("LIBVIRT_AUTH_FILE");
}

static virConnectCloseFunc close_callback;
static void *close_opaque;

int __real_virConnectRegisterCloseCallback(virConnectPtr conn, virConnectCloseFunc callback,
                                           void *opaque, virFreeCallback release);
int __wrap_virConnectRegisterCloseCallback(virConnectPtr conn, virConnectCloseFunc callback,
                                           void *opaque, virFreeCallback release);
int __wrap_virConnectRegisterCloseCallback(virConnectPtr conn, virConnectCloseFunc callback,
                                           void *opaque, virFreeCallback release)
{
    close_callback = callback;
    close_opaque = opaque;
    return __real_virConnectRegisterCloseCallback(conn, callback, opaque, release);
}

/* libvirt keeps a connection as long as it has a callback of ours for its events. */
static int callbacks_held, refused_event = -1;

int __real_virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr domain, int event,
                                            virConnectDomainEventGenericCallback callback,
                                            void *opaque, virFreeCallback release);
int __wrap_virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr domain, int event,
                                            virConnectDomainEventGenericCallback callback,
                                            void *opaque, virFreeCallback release);
int __wrap_virConnectDomainEventRegisterAny(virConnectPtr conn, virDomainPtr domain, int event,
                                            virConnectDomainEventGenericCallback callback,
                                            void *opaque, virFreeCallback release)
{
    int id = event == refused_event ? -1
                                    : __real_virConnectDomainEventRegisterAny(
                                          conn, domain, event, callback, opaque, release);
    callbacks_held += id >= 0;
    return id;
}

int __real_virConnectDomainEventDeregisterAny(virConnectPtr conn, int id);
int __wrap_virConnectDomainEventDeregisterAny(virConnectPtr conn, int id);
int __wrap_virConnectDomainEventDeregisterAny(virConnectPtr conn, int id)
{
    int r = __real_virConnectDomainEventDeregisterAny(conn, id);
    callbacks_held -= r == 0;
    return r;
}

static void a_connection_that_is_given_up_has_no_callbacks(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct error err = ERROR_INIT;
    virConnectPtr conn = NULL;
    assert_int_equal(callbacks_held, 0);
    assert_int_equal(libvirt_connection_new(uri, &connection, &err), 0);
    refused_event = VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED;
    assert_int_equal(libvirt_connection_get(connection, 0, &conn, &err), -EIO);
    assert_int_equal(callbacks_held, 0);
    refused_event = -1;
    assert_int_equal(libvirt_connection_get(connection, 0, &conn, &err), 0);
    const int of_one = callbacks_held;
    assert_true(of_one > 0);
    close_callback(conn, VIR_CONNECT_CLOSE_REASON_EOF, close_opaque);
    (void)virConnectClose(conn);
    assert_int_equal(libvirt_connection_get(connection, 0, &conn, &err), 0);
    assert_int_equal(callbacks_held, of_one);
    (void)virConnectClose(conn);
    libvirt_connection_free(connection);
    assert_int_equal(callbacks_held, 0);
}

/* virtproxyd, whose virtqemud has died: the way to it is as it was, and leads nowhere. */
static void a_connection_lost_behind_a_proxy_is_opened_again(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct domain_watch *watch = NULL;
    struct domain_news news = DOMAIN_NEWS_INIT;
    struct error err = ERROR_INIT;
    virConnectPtr first = NULL, same = NULL, other = NULL;
    assert_int_equal(libvirt_connection_new(uri, &connection, &err), 0);
    assert_int_equal(libvirt_connection_get(connection, 0, &first, &err), 0);
    assert_int_equal(libvirt_connection_get(connection, 0, &same, &err), 0);
    assert_ptr_equal(same, first);
    assert_int_equal(libvirt_connection_watch(connection, UUID, "vda", 0, &watch, &err), 0);
    virDomainPtr domain = virDomainLookupByUUIDString(first, UUID);
    assert_false(libvirt_connection_is_lost(connection, domain));
    close_callback(first, VIR_CONNECT_CLOSE_REASON_EOF, close_opaque);
    assert_true(domain_watch_wait(watch, 0, &news));
    assert_true(news.disconnected);
    assert_int_equal(virConnectIsAlive(first), 1);
    assert_true(libvirt_connection_is_lost(connection, domain));
    assert_int_equal(libvirt_connection_get(connection, 0, &other, &err), 0);
    assert_ptr_not_equal(other, first);
    assert_true(libvirt_connection_is_lost(connection, domain));
    (void)virDomainFree(domain);
    domain = virDomainLookupByUUIDString(other, UUID);
    assert_false(libvirt_connection_is_lost(connection, domain));
    (void)virDomainFree(domain);
    (void)virConnectClose(same);
    (void)virConnectClose(first);
    assert_int_equal(libvirt_connection_get(connection, 0, &same, &err), 0);
    assert_ptr_equal(same, other);
    (void)virConnectClose(same);
    (void)virConnectClose(other);
    domain_watch_free(watch);
    libvirt_connection_free(connection);
}

static virConnectPtr dead; /* that libvirt has not told of yet */

int __real_virConnectIsAlive(virConnectPtr conn);
int __wrap_virConnectIsAlive(virConnectPtr conn);
int __wrap_virConnectIsAlive(virConnectPtr conn)
{
    return conn == dead ? 0 : __real_virConnectIsAlive(conn);
}

static void a_connection_that_is_found_dead_is_lost_for_its_watches(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct domain_watch *watch = NULL;
    struct domain_news news = DOMAIN_NEWS_INIT;
    struct error err = ERROR_INIT;
    virConnectPtr first = NULL, second = NULL;
    assert_int_equal(libvirt_connection_new(uri, &connection, &err), 0);
    assert_int_equal(libvirt_connection_get(connection, 0, &first, &err), 0);
    assert_int_equal(libvirt_connection_watch(connection, UUID, "vda", 0, &watch, &err), 0);
    dead = first;
    assert_int_equal(libvirt_connection_get(connection, 0, &second, &err), 0);
    dead = NULL;
    assert_ptr_not_equal(first, second);
    assert_true(domain_watch_wait(watch, 0, &news) && news.disconnected);
    domain_watch_free(watch);
    (void)virConnectClose(first);
    (void)virConnectClose(second);
    libvirt_connection_free(connection);
}

static bool breaks_under_a_lookup;

virDomainPtr __real_virDomainLookupByUUIDString(virConnectPtr conn, const char *uuid);
virDomainPtr __wrap_virDomainLookupByUUIDString(virConnectPtr conn, const char *uuid);
virDomainPtr __wrap_virDomainLookupByUUIDString(virConnectPtr conn, const char *uuid)
{
    if (!breaks_under_a_lookup)
        return __real_virDomainLookupByUUIDString(conn, uuid);
    breaks_under_a_lookup = false;
    close_callback(conn, VIR_CONNECT_CLOSE_REASON_EOF, close_opaque);
    (void)__real_virDomainLookupByUUIDString(conn, "no uuid");
    return NULL;
}

/* Where a guest waits for what is asked, the next connection is asked the same. */
static void a_connection_may_break_under_a_lookup(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct error err = ERROR_INIT;
    virDomainPtr domain = NULL;
    assert_int_equal(libvirt_connection_new(uri, &connection, &err), 0);
    breaks_under_a_lookup = true;
    assert_int_equal(
        libvirt_connection_find_domain(connection, UUID, 0, EXC_INSTANCE_NOT_FOUND, &domain, &err),
        -EIO);
    assert_null(domain);
    breaks_under_a_lookup = true;
    err = (struct error)ERROR_INIT;
    assert_int_equal(libvirt_connection_find_domain(connection, UUID, 20000, EXC_INSTANCE_NOT_FOUND,
                                                    &domain, &err),
                     0);
    assert_int_equal(err.errnum, 0);
    assert_int_equal(libvirt_connection_number(connection), 3);
    (void)virDomainFree(domain);
    libvirt_connection_free(connection);
}

static void unreachable_hypervisor_is_told(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL;
    struct error err = ERROR_INIT;
    virConnectPtr conn = NULL;
    char socket_uri[512];
    (void)snprintf(socket_uri, sizeof(socket_uri), "qemu+unix:///system?socket=%s",
                   temp_path("absent"));
    assert_int_equal(libvirt_connection_new(socket_uri, &connection, &err), 0);
    assert_int_equal(libvirt_connection_get(connection, 300, &conn, &err), -EIO);
    assert_string_equal(err.exc, EXC_LIBVIRT_ERROR);
    assert_non_null(strstr(err.message, "cannot connect to qemu+unix"));
    libvirt_connection_free(connection);
}

/* It takes the connection and says nothing, until it dies. */
static void a_libvirtd_that_hangs_is_not_waited_for_without_end(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static struct libvirt_connection *connection; /* is not freed */
    struct libvirt_connection *next = NULL;
    struct canceller canceller;
    struct error err = ERROR_INIT;
    virConnectPtr conn = NULL;
    char socket_uri[512];
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", temp_path("hangs"));
    (void)snprintf(socket_uri, sizeof(socket_uri), "qemu+unix:///system?socket=%s",
                   address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(libvirt_connection_new(socket_uri, &connection, &err), 0);

    canceller_enter(&canceller);
    canceller_start(&canceller, fd); /* as soon as it is connected to */
    assert_cancelled(libvirt_connection_get(connection, 3600000, &conn, &err), &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
    uint64_t begun_ms = clock_now_ms();
    assert_int_equal(libvirt_connection_get(connection, 0, &conn, &err), -ETIMEDOUT);
    assert_in_range(clock_now_ms() - begun_ms, 4000, 15000);
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    struct pollfd more = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&more, 1, 0), 0); /* the second one waited for the first */
    libvirt_connection_free(connection);
    assert_int_equal(libvirt_connection_new(uri, &next, &err), 0);
    libvirt_connection_free(next);
    (void)close(accepted);
    (void)close(fd);
}

/* Two event loops would take each other's wake-ups. */
static void there_is_one_at_a_time(void **state)
{
    (void)state;
    struct libvirt_connection *connection = NULL, *other = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(libvirt_connection_new(uri, &connection, &err), 0);
    assert_int_equal(libvirt_connection_new(uri, &other, &err), -EBUSY);
    assert_null(other);
    libvirt_connection_free(connection);
    assert_int_equal(libvirt_connection_new(uri, &other, &err), 0);
    libvirt_connection_free(other);
}

static void time_limits_are_needed(void **state)
{
    (void)state;
    struct driver *driver = NULL;
    struct error err = ERROR_INIT;
    const struct libvirt_driver_options options = {
        .virt_type = "kvm", .snapshots_directory = "/s", .instances_path = "/i"};
    assert_int_equal(libvirt_driver_new(&options, &driver, &err), -EINVAL);
    assert_null(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domain_is_read),
        cmocka_unit_test(live_snapshot_is_not_known_there),
        cmocka_unit_test(cold_snapshot_stops_and_starts_the_guest),
        cmocka_unit_test(events_reach_the_watch),
        cmocka_unit_test(there_is_one_at_a_time),
        cmocka_unit_test(credentials_are_those_of_auth_conf),
        cmocka_unit_test(a_connection_that_is_given_up_has_no_callbacks),
        cmocka_unit_test(a_connection_lost_behind_a_proxy_is_opened_again),
        cmocka_unit_test(a_connection_may_break_under_a_lookup),
        cmocka_unit_test(a_connection_that_is_found_dead_is_lost_for_its_watches),
        cmocka_unit_test(unreachable_hypervisor_is_told),
        cmocka_unit_test(time_limits_are_needed),
        cmocka_unit_test(a_libvirtd_that_hangs_is_not_waited_for_without_end),
    };
    return cmocka_run_group_tests(tests, set_up, temp_folder_remove);
}
