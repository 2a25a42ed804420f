/* SPDX-License-Identifier: Apache-2.0 */
/* domain/revert_where.c: a guest that somebody starts just before its domain is defined for
 * another place; libvirt's test driver, whose domain has a disk, and qemu-img. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "domain/domain_run.h"
#include "domain/new_layer.h"
#include "domain/revert_layers.h"
#include "domain/revert_settle.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/connection.h"
#include "tests/unit/driver/temp_folder.h"

enum place { LEFT, THEN, NOWHERE };

static const char *const NAMES[] = {[LEFT] = "left", [THEN] = "then"};

static struct error err;
static struct session *session;
static virDomainPtr web;
static char base[2][200], layer[2][200];
/* the script */
static bool fails_to_be_current; /* once */
static bool starts;              /* just before it is defined, once */
static bool starts_behind;       /* just behind that, once */
static bool stops;               /* then, and has written */
static bool saves;               /* then, by libvirt, and has not written */
static bool was_woken;
static bool was_running;
static int unreadable; /* so many reads of the next start's definition fail */
static const char *then_state, *then_memory;

static void need(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

virDomainSnapshotPtr __real_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags);
virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags);
virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags)
{
    if (!fails_to_be_current || !(flags & VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT))
        return __real_virDomainSnapshotCreateXML(domain, xml, flags);
    fails_to_be_current = false;
    (void)virDomainSnapshotLookupByName(domain, "none", 0); /* an error */
    return NULL;
}

static void write_to(enum place place)
{
    FILE *file = fopen(layer[place], "ae");
    assert_non_null(file);
    (void)fputs("guest's", file);
    assert_int_equal(fclose(file), 0);
}

static void start_meanwhile(void)
{
    bool is_at_left;
    char *xml = virDomainGetXMLDesc(web, VIR_DOMAIN_XML_INACTIVE);
    assert_non_null(xml);
    is_at_left = strstr(xml, layer[LEFT]) != NULL;
    free(xml);
    assert_int_equal(virDomainCreate(web), 0);
    if (saves)
        assert_int_equal(virDomainManagedSave(web, 0), 0);
    if (!stops)
        return;
    write_to(is_at_left ? LEFT : THEN);
    assert_int_equal(virDomainDestroy(web), 0);
}

virDomainPtr __real_virDomainDefineXML(virConnectPtr conn, const char *xml);
virDomainPtr __wrap_virDomainDefineXML(virConnectPtr conn, const char *xml);
virDomainPtr __wrap_virDomainDefineXML(virConnectPtr conn, const char *xml)
{
    if (starts)
        start_meanwhile();
    starts = false;
    virDomainPtr domain = __real_virDomainDefineXML(conn, xml);
    if (starts_behind)
        start_meanwhile();
    starts_behind = false;
    return domain;
}

char *__real_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags)
{
    if (unreadable == 0 || !(flags & VIR_DOMAIN_XML_INACTIVE))
        return __real_virDomainGetXMLDesc(domain, flags);
    unreadable--;
    (void)virDomainSnapshotLookupByName(domain, "none", 0); /* an error */
    return NULL;
}

int __wrap_virDomainRestoreFlags(virConnectPtr conn, const char *from, const char *xml,
                                 unsigned flags);
int __wrap_virDomainRestoreFlags(virConnectPtr conn, const char *from, const char *xml,
                                 unsigned flags)
{
    (void)conn, (void)from, (void)xml, (void)flags;
    was_woken = true;
    return virDomainCreate(web);
}

static void write_disk(const char *file, const char *below, char *text, size_t size)
{
    (void)snprintf(text, size,
                   "<domain type='test'><name>web</name>"
                   "<uuid>11111111-2222-3333-4444-555555555555</uuid><memory>8192</memory>"
                   "<os><type>hvm</type></os><devices><disk type='file' device='disk'>"
                   "<driver name='qemu' type='qcow2'/><source file='%s'/>"
                   "<backingStore type='file'><format type='qcow2'/><source file='%s'/>"
                   "<backingStore/></backingStore><target dev='vda' bus='virtio'/></disk>"
                   "</devices></domain>",
                   file, below);
}

static void write_definition(enum place place, char *text, size_t size)
{
    write_disk(layer[place], base[place], text, size);
}

static virDomainPtr define(virConnectPtr conn, enum place place)
{
    char xml[1024];
    write_definition(place, xml, sizeof(xml));
    virDomainPtr domain = __real_virDomainDefineXML(conn, xml);
    assert_non_null(domain);
    return domain;
}

static void make_files(enum place place)
{
    (void)snprintf(base[place], sizeof(base[place]), "%s/base-%s", temp_folder, NAMES[place]);
    (void)snprintf(layer[place], sizeof(layer[place]), "%s/layer-%s", temp_folder, NAMES[place]);
    const struct qemu_img_overlay disk = {.path = base[place], .size_bytes = 1 << 20};
    (void)unlink(base[place]);
    (void)unlink(layer[place]);
    need(qemu_img_create_overlay(&disk, &err));
    need(new_layer_create(layer[place], base[place], "qcow2", &err));
}

static void make_checkpoint(enum place place)
{
    char xml[128];
    (void)snprintf(xml, sizeof(xml), "<domainsnapshot><name>%s</name></domainsnapshot>",
                   NAMES[place]);
    virDomainSnapshotPtr snapshot = __real_virDomainSnapshotCreateXML(web, xml, 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
}

static json_t *note_of(enum place place)
{
    char xml[1024];
    struct checkpoint_disk disk = {.target = "vda"};
    (void)snprintf(disk.base, sizeof(disk.base), "%s", base[place]);
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", layer[place]);
    write_definition(place, xml, sizeof(xml));
    const struct revert_place noted = {.current = NAMES[place],
                                       .state = place == THEN ? then_state
                                                : was_running ? "running"
                                                              : "shut off",
                                       .memory = place == THEN ? then_memory : "",
                                       .memory_xml = "",
                                       .definition = xml,
                                       .disks = &disk,
                                       .disk_count = 1};
    return revert_settle_note_of(&noted);
}

static void note_way(void)
{
    json_t *run = NULL;
    struct checkpoint_disk disks[2] = {{.target = "vda"}, {.target = "vda"}};
    for (size_t i = 0; i < 2; i++)
        (void)snprintf(disks[i].overlay, sizeof(disks[i].overlay), "%s", layer[i]);
    need(revert_layers_note(session, disks, 2, &err));
    need(domain_run_read(session, &run, &err));
    need(record_note(
        session->record, "revert",
        json_pack("{s:o, s:b, s:o}", "to", note_of(THEN), "was_running", was_running, "run", run),
        &err));
    need(record_note(session->record, "switch", json_pack("{s:o}", "to", note_of(LEFT)), &err));
}

/* A way to THEN, whose checkpoint is the current one, of a domain that runs there and starts next
 * there. */
static void begin(enum place runs, enum place starts_next)
{
    const struct session_options options = {
        .uri = "test:///default", .state_dir = temp_folder, .lock_folder = temp_path("locks")};
    virConnectPtr conn = virConnectOpen(options.uri);
    assert_non_null(conn);
    make_files(LEFT);
    make_files(THEN);
    web = define(conn, runs == NOWHERE ? starts_next : runs);
    make_checkpoint(LEFT);
    make_checkpoint(THEN);
    if (runs != NOWHERE) {
        assert_int_equal(virDomainCreate(web), 0);
        (void)virDomainFree(define(conn, starts_next));
    }
    (void)virConnectClose(conn); /* the domain holds it */
    need(session_open(&options, "web", &session, &err));
    note_way();
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    fails_to_be_current = starts = starts_behind = stops = saves = was_woken = was_running = false;
    unreadable = 0;
    then_state = "shut off";
    then_memory = "";
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)record_end(session->record, &err);
    session_close(session);
    if (virDomainIsActive(web) == 1)
        (void)virDomainDestroy(web);
    (void)virDomainManagedSaveRemove(web, 0);
    (void)virDomainUndefineFlags(web, VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA);
    (void)virDomainFree(web);
    return 0;
}

static bool is_noted(const char *name)
{
    return record_all(session->record, name) != NULL;
}

static bool is_at(enum place place, unsigned flags)
{
    char *xml = virDomainGetXMLDesc(web, flags);
    assert_non_null(xml);
    bool is_it = strstr(xml, layer[place]) != NULL;
    free(xml);
    return is_it;
}

static void assert_starts_next_at(enum place place)
{
    assert_true(is_at(place, VIR_DOMAIN_XML_INACTIVE));
    virDomainSnapshotPtr current = virDomainSnapshotCurrent(web, 0);
    assert_string_equal(virDomainSnapshotGetName(current), NAMES[place]);
    (void)virDomainSnapshotFree(current);
}

static void it_starts_next_where_it_runs(void **state)
{
    (void)state;
    begin(LEFT, THEN);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_at(LEFT, 0));
    assert_starts_next_at(LEFT);
    assert_int_equal(access(layer[THEN], F_OK), -1);
}

static void also_when_that_fails_once(void **state)
{
    (void)state;
    begin(LEFT, THEN);
    fails_to_be_current = true;
    assert_true(revert_settle(session, &err) < 0);
    assert_false(is_noted("returned"));
    need(revert_settle(session, &err));
    assert_starts_next_at(LEFT);
}

static void and_when_it_has_written(void **state)
{
    (void)state;
    begin(LEFT, THEN);
    write_to(LEFT);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_at(LEFT, 0));
    assert_starts_next_at(LEFT);
}

static void one_that_was_started_meanwhile_stays(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    starts = true;
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && !is_noted("entered") && is_at(LEFT, 0));
    assert_starts_next_at(LEFT);
}

static void what_it_has_written_before_it_was_stopped_is_not_left(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    starts = stops = true;
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && !is_noted("entered"));
    assert_starts_next_at(LEFT);
    assert_int_equal(access(layer[LEFT], F_OK), 0);
}

/* Of a command that was killed behind the definition. */
static void nor_is_it_left_later(void **state)
{
    (void)state;
    begin(NOWHERE, THEN);
    write_to(LEFT);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && !is_noted("entered"));
    assert_starts_next_at(LEFT);
}

/* It could not be started there, and somebody does it on its way back. */
static void on_the_way_back_as_well(void **state)
{
    (void)state;
    begin(NOWHERE, THEN);
    need(record_note(session->record, "back", json_pack("{s:s}", "why", "a CD has gone"), &err));
    starts = true;
    assert_int_equal(revert_settle(session, &err), -EBUSY);
    need(revert_settle(session, &err));
    assert_true(is_noted("entered") && !is_noted("returned") && is_at(THEN, 0));
    assert_starts_next_at(THEN);
}

static void also_when_it_was_stopped(void **state)
{
    (void)state;
    begin(NOWHERE, THEN);
    need(record_note(session->record, "back", json_pack("{s:s}", "why", "a CD has gone"), &err));
    starts = stops = true;
    assert_int_equal(revert_settle(session, &err), -EBUSY);
    need(revert_settle(session, &err));
    assert_true(is_noted("entered") && !is_noted("returned"));
    assert_starts_next_at(THEN);
    assert_int_equal(access(layer[THEN], F_OK), 0);
}

/* The definition, somebody has put back by hand: it stays. */
static void what_somebody_has_defined_stays(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    write_to(THEN);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned"));
    assert_true(is_at(LEFT, VIR_DOMAIN_XML_INACTIVE));
    assert_int_equal(access(layer[THEN], F_OK), 0);
}

/* A layer that somebody has put on what is left. */
static void define_other_disk(void)
{
    char other[200], xml[1024];
    (void)snprintf(other, sizeof(other), "%s/layer-other", temp_folder);
    (void)unlink(other);
    need(new_layer_create(other, layer[LEFT], "qcow2", &err));
    write_disk(other, layer[LEFT], xml, sizeof(xml));
    virDomainPtr domain = __real_virDomainDefineXML(virDomainGetConnect(web), xml);
    assert_non_null(domain);
    (void)virDomainFree(domain);
}

static bool has_other_disk(unsigned flags)
{
    char *xml = virDomainGetXMLDesc(web, flags);
    assert_non_null(xml);
    bool has = strstr(xml, "layer-other") != NULL;
    free(xml);
    return has;
}

static void disks_of_somebody_elses_stay(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    define_other_disk();
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && has_other_disk(VIR_DOMAIN_XML_INACTIVE));
    assert_int_equal(access(layer[LEFT], F_OK), 0);
}

static void also_of_a_guest_that_runs(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    define_other_disk();
    assert_int_equal(virDomainCreate(web), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && has_other_disk(0) &&
                has_other_disk(VIR_DOMAIN_XML_INACTIVE));
}

/* Its next start is nobody's wish, and which it should be nobody here can tell. */
static void unless_it_would_start_at_the_checkpoint(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    define_other_disk();
    assert_int_equal(virDomainCreate(web), 0);
    (void)virDomainFree(define(virDomainGetConnect(web), THEN));
    assert_int_equal(revert_settle(session, &err), -EBUSY);
    assert_non_null(strstr(err.message, "virsh edit"));
    define_other_disk();
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && has_other_disk(VIR_DOMAIN_XML_INACTIVE));
}

static bool is_running(void)
{
    int state = VIR_DOMAIN_NOSTATE;
    assert_int_equal(virDomainGetState(web, &state, NULL, 0), 0);
    return state == VIR_DOMAIN_RUNNING;
}

static void hold(void)
{
    need(record_note(session->record, "suspend", json_true(), &err));
    assert_int_equal(virDomainSuspend(web), 0);
}

/* Somebody has touched what it was to go to. */
static void one_that_is_held_goes_on_when_it_stays(void **state)
{
    (void)state;
    was_running = true;
    begin(LEFT, LEFT);
    hold();
    write_to(THEN);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_running());
}

/* It has written since: that is another pause. */
static void one_that_was_paused_again_stays_so(void **state)
{
    (void)state;
    was_running = true;
    begin(LEFT, LEFT);
    hold();
    write_to(LEFT);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && !is_noted("back") && !is_running());
}

static void nor_is_it_ended_for_a_definition_of_somebody_elses(void **state)
{
    (void)state;
    was_running = true;
    begin(LEFT, LEFT);
    hold();
    define_other_disk();
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_running() && has_other_disk(VIR_DOMAIN_XML_INACTIVE));
}

static void nor_for_one_that_has_gone(void **state)
{
    (void)state;
    was_running = true;
    begin(LEFT, LEFT);
    hold();
    assert_int_equal(virDomainUndefineFlags(web, VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_running());
    assert_int_equal(virDomainIsPersistent(web), 0);
}

/* Somebody has merged the base of these layers, and the guest goes on. */
static void run_on_another_base(enum place place)
{
    char xml[1024];
    write_disk(layer[place], base[place == LEFT ? THEN : LEFT], xml, sizeof(xml));
    assert_int_equal(virDomainDestroy(web), 0);
    (void)virDomainFree(__real_virDomainDefineXML(virDomainGetConnect(web), xml));
    assert_int_equal(virDomainCreate(web), 0);
}

static void it_is_not_ended_there(void **state)
{
    (void)state;
    json_t *run = NULL;
    was_running = true;
    begin(LEFT, LEFT);
    run_on_another_base(LEFT);
    need(domain_run_read(session, &run, &err));
    json_t *way = json_array_get(record_all(session->record, "revert"), 0);
    assert_int_equal(json_object_set_new(way, "run", run), 0);
    hold();
    write_to(LEFT); /* its header names another file below */
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_running() && is_at(LEFT, 0));
}

static void another_base_is_no_other_place(void **state)
{
    (void)state;
    begin(LEFT, LEFT);
    run_on_another_base(THEN);
    need(revert_settle(session, &err));
    assert_true(is_noted("entered") && is_at(THEN, 0));
}

static void what_else_is_defined_stays_on_the_way_back(void **state)
{
    (void)state;
    char xml[1024];
    begin(NOWHERE, LEFT);
    need(record_note(session->record, "back", json_pack("{s:s}", "why", "a CD has gone"), &err));
    write_definition(LEFT, xml, sizeof(xml));
    *strstr(xml, "8192") = '9';
    (void)virDomainFree(__real_virDomainDefineXML(virDomainGetConnect(web), xml));
    need(revert_settle(session, &err));
    char *now = virDomainGetXMLDesc(web, VIR_DOMAIN_XML_INACTIVE);
    assert_non_null(strstr(now, ">9192<"));
    free(now);
    assert_true(is_noted("returned"));
    assert_starts_next_at(LEFT);
}

static void one_that_is_started_when_it_ends_is_looked_at_again(void **state)
{
    (void)state;
    begin(NOWHERE, THEN);
    write_to(LEFT);
    starts = true;
    assert_int_equal(revert_settle(session, &err), -EBUSY);
    assert_false(is_noted("returned") || is_noted("entered"));
    need(revert_settle(session, &err));
    assert_true(is_noted("entered") && is_at(THEN, 0));
    assert_starts_next_at(THEN);
}

/* Both have something: it is where its definition points. */
static void where_both_were_written_to_the_definition_tells(void **state)
{
    (void)state;
    begin(NOWHERE, THEN);
    write_to(LEFT);
    write_to(THEN);
    need(revert_settle(session, &err));
    assert_true(is_noted("entered"));
    assert_starts_next_at(THEN);
    assert_int_equal(access(layer[LEFT], F_OK), 0);
}

static void also_on_the_way_back(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    need(record_note(session->record, "back", json_pack("{s:s}", "why", "a CD has gone"), &err));
    write_to(LEFT);
    write_to(THEN);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned"));
    assert_starts_next_at(LEFT);
    assert_int_equal(access(layer[THEN], F_OK), 0);
}

static void it_starts_next_where_it_runs_when_the_new_layers_have_gone(void **state)
{
    (void)state;
    begin(LEFT, THEN);
    assert_int_equal(unlink(layer[THEN]), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && is_at(LEFT, 0));
    assert_starts_next_at(LEFT);
}

static void where_libvirt_does_not_tell_it_is_asked_again(void **state)
{
    (void)state;
    begin(LEFT, THEN);
    unreadable = 1;
    assert_int_equal(revert_settle(session, &err), -EIO);
    assert_false(is_noted("returned"));
    need(revert_settle(session, &err));
    assert_starts_next_at(LEFT);
}

static void a_memory_that_libvirt_keeps_is_not_passed_over(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    starts = saves = true;
    assert_true(revert_settle(session, &err) < 0);
    assert_false(is_noted("entered") || is_noted("returned"));
    assert_int_equal(virDomainManagedSaveRemove(web, 0), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned"));
    assert_starts_next_at(LEFT);
}

static void no_memory_is_woken_on_what_was_written_to(void **state)
{
    (void)state;
    then_state = "running";
    then_memory = "/memory";
    begin(NOWHERE, LEFT);
    starts_behind = stops = true;
    need(revert_settle(session, &err));
    assert_false(was_woken);
    assert_true(is_noted("entered"));
    assert_starts_next_at(THEN);
}

static void one_that_somebody_starts_there_is_there(void **state)
{
    (void)state;
    then_state = "running";
    begin(NOWHERE, LEFT);
    starts_behind = true;
    need(revert_settle(session, &err));
    assert_true(is_noted("entered") && !is_noted("back") && is_at(THEN, 0));
}

static void somebody_elses_checkpoint_stays_the_current_one(void **state)
{
    (void)state;
    begin(LEFT, THEN);
    virDomainSnapshotPtr later = __real_virDomainSnapshotCreateXML(
        web, "<domainsnapshot><name>later</name></domainsnapshot>", 0);
    assert_non_null(later);
    need(revert_settle(session, &err));
    assert_true(is_at(LEFT, VIR_DOMAIN_XML_INACTIVE));
    assert_int_equal(virDomainSnapshotIsCurrent(later, 0), 1);
    (void)virDomainSnapshotFree(later);
}

static void where_the_layer_of_before_has_gone_it_is_where_it_has_written(void **state)
{
    (void)state;
    begin(NOWHERE, LEFT);
    need(record_note(session->record, "back", json_pack("{s:s}", "why", "a CD has gone"), &err));
    write_to(THEN);
    assert_int_equal(unlink(layer[LEFT]), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("entered"));
    assert_starts_next_at(THEN);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_starts_next_where_it_runs),
        TEST(also_when_that_fails_once),
        TEST(and_when_it_has_written),
        TEST(one_that_was_started_meanwhile_stays),
        TEST(what_it_has_written_before_it_was_stopped_is_not_left),
        TEST(nor_is_it_left_later),
        TEST(on_the_way_back_as_well),
        TEST(also_when_it_was_stopped),
        TEST(what_somebody_has_defined_stays),
        TEST(disks_of_somebody_elses_stay),
        TEST(also_of_a_guest_that_runs),
        TEST(unless_it_would_start_at_the_checkpoint),
        TEST(one_that_is_held_goes_on_when_it_stays),
        TEST(one_that_was_paused_again_stays_so),
        TEST(nor_is_it_ended_for_a_definition_of_somebody_elses),
        TEST(nor_for_one_that_has_gone),
        TEST(it_is_not_ended_there),
        TEST(another_base_is_no_other_place),
        TEST(what_else_is_defined_stays_on_the_way_back),
        TEST(one_that_is_started_when_it_ends_is_looked_at_again),
        TEST(where_both_were_written_to_the_definition_tells),
        TEST(also_on_the_way_back),
        TEST(it_starts_next_where_it_runs_when_the_new_layers_have_gone),
        TEST(where_libvirt_does_not_tell_it_is_asked_again),
        TEST(a_memory_that_libvirt_keeps_is_not_passed_over),
        TEST(no_memory_is_woken_on_what_was_written_to),
        TEST(one_that_somebody_starts_there_is_there),
        TEST(somebody_elses_checkpoint_stays_the_current_one),
        TEST(where_the_layer_of_before_has_gone_it_is_where_it_has_written),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
