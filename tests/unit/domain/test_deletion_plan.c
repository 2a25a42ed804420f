/* SPDX-License-Identifier: Apache-2.0 */
/* domain/deletion_plan.c, deletion_point.c, deletion_settle.c: a checkpoint of two disks, of which
 * the domain has one still; libvirt's test driver, and scripted layers. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "domain/deletion_plan.h"
#include "domain/deletion_settle.h"
#include "domain/layer_map_int.h"
#include "domain/merge_chain.h"
#include "domain/merge_check.h"
#include "domain/merge_settle.h"
#include "tests/unit/domain/libvirt_session.h"

#define DISK(name)                                                                                 \
    "<disk name='" name "' snapshot='external' type='file'><source file='/d/" name                 \
    ".layer'/></disk>"
#define DISK_THEN(name)                                                                            \
    "<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/" name                 \
    ".base'/><target dev='" name "'/></disk>"
#define CHECKPOINT                                                                                 \
    "<domainsnapshot><name>monday</name><disks>" DISK("vda")                                       \
        DISK("vdb") "</disks><domain><devices>" DISK_THEN("vda")                                   \
            DISK_THEN("vdb") "</devices></domain></domainsnapshot>"

static virDomainSnapshotPtr snapshot;
static struct deletion_plan plan;
static bool goes_on;       /* the guest, from the checkpoint */
static bool is_elsewhere;  /* another disk of the domain stands on vdb's file */
static char told[8][1024]; /* warnings */
static size_t told_count;

char *__wrap_virDomainSnapshotGetXMLDesc(virDomainSnapshotPtr of, unsigned flags);
char *__wrap_virDomainSnapshotGetXMLDesc(virDomainSnapshotPtr of, unsigned flags)
{
    (void)of, (void)flags;
    return strdup(CHECKPOINT);
}

static json_t *file(const char *target, const char *kind)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/d/%s.%s", target, kind);
    return json_pack("{s:s, s:s, s:i}", "path", path, "format", "qcow2", "size_bytes", 1 << 20);
}

int __wrap_merge_chain_read(virDomainPtr domain, const char *target, json_t **ret_chain,
                            struct error *error);
int __wrap_merge_chain_read(virDomainPtr domain, const char *target, json_t **ret_chain,
                            struct error *error)
{
    (void)domain, (void)error;
    assert_string_equal(target, "vda"); /* the only one of the test driver's domain */
    *ret_chain = goes_on ? json_pack("[o, o]", file(target, "layer"), file(target, "base"))
                         : json_pack("[o]", file(target, "other"));
    return 0;
}

/* vdc on a layer on vdb's base. */
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error)
{
    static char domain[] = "test", monday[] = "monday";
    const struct layer_name then = {
        .kind = LAYER_NAME_STATE, .is_own = true, .domain = domain, .snapshot = monday};
    const struct layer_name disk = {.kind = LAYER_NAME_DISK, .is_own = true, .domain = domain};
    (void)of;
    *ret_map = (struct layer_map){0};
    if (layer_map_add_name(ret_map, &then, "/d/vdb.base", "qcow2", error) < 0 ||
        layer_map_add_name(ret_map, &disk, is_elsewhere ? "/d/vdc.layer" : "/d/vda.layer", "qcow2",
                           error) < 0)
        return -ENOMEM;
    ret_map->files[1].below = is_elsewhere ? 0 : LAYER_MAP_NONE;
    return 0;
}

int __wrap_merge_check(const struct session *of, const json_t *merge, const json_t *before,
                       struct error *error);
int __wrap_merge_check(const struct session *of, const json_t *merge, const json_t *before,
                       struct error *error)
{
    (void)of, (void)merge, (void)before, (void)error;
    return 0;
}

int __wrap_merge_settle_run(struct session *of, struct error *error);
int __wrap_merge_settle_run(struct session *of, struct error *error)
{
    (void)of, (void)error;
    return 0;
}

void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
{
    (void)place;
    if (level != LOG_LEVEL_WARNING || told_count == ARRAY_SIZE(told))
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(told[told_count++], sizeof(told[0]), format, arguments);
    va_end(arguments);
}

static int set_up(void **state)
{
    (void)state;
    goes_on = true;
    is_elsewhere = false;
    told_count = 0;
    plan = (struct deletion_plan){0};
    begin_session();
    snapshot = virDomainSnapshotCreateXML(
        session->domain, "<domainsnapshot><name>monday</name></domainsnapshot>", 0);
    return snapshot ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)virDomainSnapshotDelete(snapshot, 0);
    (void)virDomainSnapshotFree(snapshot);
    json_decref(plan.note);
    return end_session(state);
}

static int make(void)
{
    return deletion_plan_make(session, snapshot, NULL, &plan, &err);
}

static void is_refused(void)
{
    assert_int_equal(make(), -EINVAL);
    assert_non_null(strstr(err.message, "disk vdb does not stand on /d/vdb.base"));
    assert_null(plan.note);
}

/* By `virsh detach-disk --persistent`: it keeps no other from being merged. */
static void one_that_was_detached_for_good(void **state)
{
    (void)state;
    need(make());
    assert_string_equal(plan.kind, "merge");
    const json_t *disks = json_object_get(plan.note, "disks");
    const json_t *left = json_array_get(json_object_get(plan.note, "left"), 0);
    assert_int_equal(json_array_size(disks), 1);
    assert_string_equal(json_string_member(json_array_get(disks, 0), "target"), "vda");
    assert_int_equal(json_array_size(json_object_get(plan.note, "left")), 1);
    assert_string_equal(json_string_member(left, "target"), "vdb");
    assert_string_equal(json_string_member(left, "base"), "/d/vdb.base");
    assert_string_equal(json_string_member(left, "layer"), "/d/vdb.layer");
}

/* Only the guest that runs has let go of it. */
static void one_that_the_next_start_has(void **state)
{
    (void)state;
    static const char end[] = "</devices>";
    char *xml = virDomainGetXMLDesc(session->domain, VIR_DOMAIN_XML_INACTIVE), with[8192];
    const char *rest = xml ? strstr(xml, end) : NULL;
    assert_non_null(rest);
    (void)snprintf(with, sizeof(with), "%.*s%s%s", (int)(rest - xml), xml, DISK_THEN("vdb"), rest);
    virConnectPtr conn = virDomainGetConnect(session->domain);
    virDomainPtr domain = virDomainDefineXML(conn, with);
    if (!domain)
        fail_msg("%s", virGetLastErrorMessage());
    is_refused();
    (void)virDomainFree(virDomainDefineXML(conn, xml));
    (void)virDomainFree(domain);
    free(xml);
}

static void one_under_another_name(void **state)
{
    (void)state;
    is_elsewhere = true;
    is_refused();
}

/* Whatever has become of the other. */
static void the_guest_does_not_go_on_from_it(void **state)
{
    (void)state;
    goes_on = false;
    assert_int_equal(make(), -EINVAL);
    assert_string_equal(plan.kind, "branch");
}

static void what_stays_is_told(void **state)
{
    (void)state;
    need(make());
    need(record_note(session->record, plan.kind, json_incref(plan.note), &err));
    assert_int_equal(told_count, 0);
    need(deletion_settle_run(session, &err));
    assert_int_equal(told_count, 1);
    assert_non_null(strstr(told[0], "vdb"));
    assert_non_null(strstr(told[0], "/d/vdb.base"));
    assert_non_null(strstr(told[0], "/d/vdb.layer"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_detached_for_good),
        TEST(one_that_the_next_start_has),
        TEST(one_under_another_name),
        TEST(the_guest_does_not_go_on_from_it),
        TEST(what_stays_is_told),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
