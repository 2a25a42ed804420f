/* SPDX-License-Identifier: Apache-2.0 */
/* domain/layer_map.c: who needs a file, by the headers qemu-img makes; libvirt's test driver. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/layer_map.h"
#include "domain/layer_map_int.h"
#include "driver/libvirt/connection.h"
#include "tests/unit/domain/libvirt_session.h"

#define DISK "<disk type='file' device='disk'>%s<source file='%s'/><target dev='%s'/></disk>"

static struct layer_map map;
static const char *others; /* what else is in the host's XML */
static const char *saved;  /* the memory that libvirt keeps; NULL; "": it cannot be read */
static const char *saved_of;

int __wrap_virDomainHasManagedSaveImage(virDomainPtr domain, unsigned flags);
int __wrap_virDomainHasManagedSaveImage(virDomainPtr domain, unsigned flags)
{
    (void)flags;
    return saved && strcmp(virDomainGetName(domain), saved_of) == 0;
}

char *__wrap_virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainManagedSaveGetXMLDesc(virDomainPtr domain, unsigned flags)
{
    (void)domain, (void)flags;
    return saved[0] != '\0' ? strdup(saved) : NULL;
}

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    if (system(command) != 0) /* NOLINT(cert-env33-c) */
        fail_msg("%s", command);
}

/* A host whose domain has these two disks. */
static void open_host(const char *vda_driver, const char *vda, const char *vdb_driver,
                      const char *vdb)
{
    char uri[300];
    const char *path = temp_path("node.xml");
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "<node><domain type='test'><name>web</name><memory>8192</memory>"
                  "<os><type>hvm</type></os><devices>" DISK DISK "</devices></domain>%s</node>",
                  vda_driver, vda, "vda", vdb_driver, vdb, "vdb", others);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(uri, sizeof(uri), "test://%s", path);
    need(open_session(uri, "web", false));
}

static int read_map(const char *vda_driver, const char *vda, const char *vdb_driver,
                    const char *vdb)
{
    open_host(vda_driver, vda, vdb_driver, vdb);
    return layer_map_read(session, &map, &err);
}

static int set_up(void **state)
{
    (void)state;
    others = "";
    saved = NULL;
    saved_of = "web";
    run("rm -f %s/*.img", temp_folder);
    run("truncate -s 1M %s", temp_path("base.img"));
    run("qemu-img create -q -f qcow2 -b %s -F raw %s", temp_path("base.img"), temp_path("top.img"));
    return 0;
}

static int tear_down(void **state)
{
    layer_map_done(&map);
    return end_session(state);
}

#define QCOW2 "<driver type='qcow2'/>"
#define RAW "<driver type='raw'/>"

static void needs_base(void)
{
    if (err.errnum != 0)
        fail_msg("%s", err.message);
    assert_non_null(layer_map_find_user(&map, temp_path("base.img")));
}

static void a_header_names_what_is_below(void **state)
{
    (void)state;
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    needs_base();
    assert_non_null(layer_map_find_user(&map, temp_path("other.img"))); /* that is not there */
}

static void a_saved_memory_names_what_it_goes_on_with(void **state)
{
    (void)state;
    char xml[1024], below[512];
    (void)snprintf(below, sizeof(below),
                   QCOW2 "<backingStore type='file'><format type='qcow2'/><source file='%s'/>"
                         "<backingStore/></backingStore>",
                   temp_path("then.img"));
    (void)snprintf(xml, sizeof(xml), "<domain><devices>" DISK "</devices></domain>", below,
                   temp_path("top.img"), "vda");
    saved = xml;
    assert_int_equal(read_map(RAW, temp_path("other.img"), RAW, temp_path("another.img")), 0);
    needs_base();
    const struct layer_name *user = layer_map_find_user(&map, temp_path("top.img"));
    assert_int_equal(user->kind, LAYER_NAME_SAVED);
    assert_int_equal(layer_map_refuse(&map, user->file, user, &err), -EINVAL);
    assert_non_null(strstr(err.message, "the saved memory of domain web names "));
    assert_non_null(
        layer_map_find_user(&map, temp_path("then.img"))); /* whatever the header says */
}

static void one_that_cannot_be_read_is_its_own_domains_trouble(void **state)
{
    (void)state;
    others = "<domain type='test'><name>db</name><memory>8192</memory><os><type>hvm</type></os>"
             "</domain>";
    saved = "";
    saved_of = "db";
    assert_int_equal(read_map(RAW, temp_path("other.img"), RAW, temp_path("another.img")), 0);
    tear_down(NULL);
    saved_of = "web";
    assert_int_equal(read_map(RAW, temp_path("other.img"), RAW, temp_path("another.img")), -EIO);
    assert_non_null(strstr(err.message, "saved guest of web goes on with"));
    assert_non_null(strstr(err.message, "managedsave-remove"));
}

static void a_raw_disk_has_no_header(void **state)
{
    (void)state;
    assert_int_equal(read_map(RAW, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    assert_null(layer_map_find_user(&map, temp_path("base.img")));
}

/* It may be raw for one and not for another. */
static void unless_another_names_one(void **state)
{
    (void)state;
    run("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", temp_path("top.img"),
        temp_path("above.img"));
    assert_int_equal(read_map(RAW, temp_path("top.img"), QCOW2, temp_path("above.img")), 0);
    needs_base();
    tear_down(NULL);
    assert_int_equal(read_map(RAW, temp_path("top.img"), QCOW2, temp_path("top.img")), 0);
    needs_base();
}

static void json_names_a_file(void **state)
{
    (void)state;
    run("qemu-img rebase -u -f qcow2 -F raw -b 'json:{\"driver\":\"raw\",\"file.driver\":\"file\","
        "\"file.filename\":\"%s\"}' %s",
        temp_path("base.img"), temp_path("top.img"));
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    needs_base();
}

static void a_relative_name_is_beside_its_layer(void **state)
{
    (void)state;
    run("qemu-img rebase -u -f qcow2 -F raw -b base.img %s", temp_path("top.img"));
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    needs_base();
}

static void what_cannot_be_told_is_refused(void **state)
{
    (void)state;
    run("qemu-img rebase -u -f qcow2 -F raw -b blkdebug::%s %s", temp_path("base.img"),
        temp_path("top.img"));
    assert_true(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")) < 0);
    assert_non_null(strstr(err.message, "top.img"));
}

static void an_unreadable_header_is_refused(void **state)
{
    (void)state;
    assert_true(read_map(QCOW2, temp_path("base.img"), RAW, temp_path("other.img")) < 0);
    assert_non_null(strstr(err.message, "base.img"));
}

static void what_nobody_names(void **state)
{
    (void)state;
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    run("qemu-img create -q -f qcow2 -b %s -F qcow2 %s", temp_path("top.img"),
        temp_path("clone.img"));
    assert_int_equal(layer_map_find(&map, temp_path("clone.img")), LAYER_MAP_NONE);
    assert_int_equal(layer_map_add_beside(&map, temp_path("base.img"), &err), 0);
    size_t clone = layer_map_find(&map, temp_path("clone.img"));
    assert_int_not_equal(clone, LAYER_MAP_NONE);
    assert_int_equal(map.files[clone].below, layer_map_find(&map, temp_path("top.img")));
    assert_int_equal(layer_map_find(&map, temp_path("other.img")), map.names[1].file);
    run("qemu-img create -q -f qcow2 -u -b blkdebug::/x -F raw %s 1M", temp_path("odd.img"));
    assert_true(layer_map_add_beside(&map, temp_path("base.img"), &err) < 0);
    assert_non_null(strstr(err.message, "odd.img"));
    assert_int_equal(layer_map_add_beside(&map, "/none/file", &err), -ENOENT);
}

#define OLD(pool, runstate)                                                                        \
    "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"                 \
    "<name>old</name><memory>8192</memory><os><type>hvm</type></os><devices>"                      \
    "<disk type='volume' device='disk'><source pool='" pool "' volume='gone'/>"                    \
    "<target dev='vda'/></disk></devices><test:runstate>" runstate "</test:runstate></domain>"     \
    "<pool type='dir'><name>there</name><target><path>/none</path></target></pool>"
#define SHUT_OFF "5"
#define RUNS "1"

/* A definition that nothing can be started with is in nobody's way. */
static void a_volume_that_has_gone(void **state)
{
    (void)state;
    others = OLD("there", SHUT_OFF);
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    needs_base();
    tear_down(NULL);
    others = OLD("none", SHUT_OFF);
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), 0);
    needs_base();
}

static void a_volume_that_cannot_be_told_is_refused(void **state)
{
    (void)state;
    virConnectPtr conn = NULL;
    others = OLD("there", SHUT_OFF);
    open_host(QCOW2, temp_path("top.img"), RAW, temp_path("other.img"));
    need(libvirt_connection_get(session->driver->connection, 0, &conn, &err));
    virStoragePoolPtr pool = virStoragePoolLookupByName(conn, "there");
    assert_non_null(pool);
    assert_int_equal(virStoragePoolDestroy(pool), 0);
    (void)virStoragePoolFree(pool);
    (void)virConnectClose(conn);
    assert_int_equal(layer_map_read(session, &map, &err), -EIO);
    assert_non_null(strstr(err.message, "volume gone of pool there"));
}

/* Its guest has the file open, whatever became of the pool. */
static void a_volume_of_a_guest_that_runs_is_refused(void **state)
{
    (void)state;
    others = OLD("none", RUNS);
    assert_int_equal(read_map(QCOW2, temp_path("top.img"), RAW, temp_path("other.img")), -EIO);
    assert_non_null(strstr(err.message, "volume gone of pool none"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_header_names_what_is_below),
        TEST(a_saved_memory_names_what_it_goes_on_with),
        TEST(one_that_cannot_be_read_is_its_own_domains_trouble),
        TEST(a_raw_disk_has_no_header),
        TEST(unless_another_names_one),
        TEST(json_names_a_file),
        TEST(a_relative_name_is_beside_its_layer),
        TEST(what_cannot_be_told_is_refused),
        TEST(an_unreadable_header_is_refused),
        TEST(what_nobody_names),
        TEST(a_volume_that_has_gone),
        TEST(a_volume_that_cannot_be_told_is_refused),
        TEST(a_volume_of_a_guest_that_runs_is_refused),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
