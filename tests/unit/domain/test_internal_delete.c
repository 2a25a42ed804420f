/* SPDX-License-Identifier: Apache-2.0 */
/* domain/internal_delete.c: the checkpoint goes that was planned for, and no later one of its name;
 * libvirt's test driver, as if it had no disk. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "domain/deletion_settle.h"
#include "domain/internal_delete.h"
#include "domain/layer_map.h"
#include "driver/definition/xml_node.h"
#include "tests/unit/domain/libvirt_session.h"

#define NIGHTLY "nightly"

/* The file that the test driver's domain names is nowhere. */
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *ret_map, struct error *error)
{
    (void)of, (void)error;
    *ret_map = (struct layer_map){0};
    return 0;
}

static void add_snapshot(const char *created)
{
    char xml[8192];
    char *definition = virDomainGetXMLDesc(session->domain, 0);
    assert_non_null(definition);
    (void)snprintf(xml, sizeof(xml),
                   "<domainsnapshot><name>" NIGHTLY "</name><state>shutoff</state>"
                   "<creationTime>%s</creationTime>%s</domainsnapshot>",
                   created, definition);
    free(definition);
    virDomainSnapshotPtr snapshot =
        virDomainSnapshotCreateXML(session->domain, xml, VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE);
    if (!snapshot)
        fail_msg("%s", virGetLastErrorMessage());
    (void)virDomainSnapshotFree(snapshot);
}

static bool is_there(void)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(session->domain, NIGHTLY, 0);
    if (snapshot)
        (void)virDomainSnapshotFree(snapshot);
    return snapshot != NULL;
}

static void remove_snapshot(void)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(session->domain, NIGHTLY, 0);
    assert_non_null(snapshot);
    assert_int_equal(virDomainSnapshotDelete(snapshot, 0), 0);
    (void)virDomainSnapshotFree(snapshot);
}

/* As the command does before it asks libvirt. */
static void plan(void)
{
    cleanup_xml_document xmlDoc *document = NULL;
    json_t *note = NULL;
    need(xml_node_parse("<domainsnapshot><creationTime>1000</creationTime></domainsnapshot>",
                        "domainsnapshot", &document, &err));
    need(internal_delete_plan(session, NIGHTLY, xmlDocGetRootElement(document), &note, &err));
    need(record_note(session->record, "delete", note, &err));
}

static int set_up(void **state)
{
    (void)state;
    begin_session();
    return 0;
}

static int tear_down(void **state)
{
    if (is_there())
        remove_snapshot();
    return end_session(state);
}

static void the_one_that_was_planned_for(void **state)
{
    (void)state;
    add_snapshot("1000");
    plan();
    need(internal_delete_run(session, &err));
    assert_true(internal_delete_has_begun(session));
    assert_false(is_there());
    need(internal_delete_run(session, &err)); /* once more, as after a command that died */
}

/* The command died behind libvirt's success, and somebody has made another one since. */
static void not_a_later_one_of_its_name(void **state)
{
    (void)state;
    add_snapshot("1000");
    plan();
    need(record_note(session->record, "deleting", json_true(), &err));
    remove_snapshot();
    add_snapshot("2000");
    need(deletion_settle(session, &err));
    assert_true(is_there());
    assert_string_equal(session->outcome, "gone on with, to its end");
}

/* What an older version has noted does not tell when it was made. */
static void by_its_name_alone(void **state)
{
    (void)state;
    json_t *note = json_pack("{s:s, s:[]}", "snapshot", NIGHTLY, "disks");
    add_snapshot("1000");
    need(record_note(session->record, "delete", note, &err));
    need(internal_delete_run(session, &err));
    assert_false(is_there());
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_one_that_was_planned_for),
        TEST(not_a_later_one_of_its_name),
        TEST(by_its_name_alone),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
