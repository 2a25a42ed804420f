/* SPDX-License-Identifier: Apache-2.0 */
/* domain/revert_settle.c, revert_enter.c, new_layer.c: where a domain is after a command that died;
 * libvirt's test driver, and qemu-img. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/secret.h"
#include "domain/new_layer.h"
#include "domain/revert_settle.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static struct session *session;
static char base[PATH_MAX], layer[PATH_MAX];

static void need(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    (void)state;
    const struct session_options options = {
        .uri = "test:///default", .state_dir = temp_folder, .lock_folder = temp_path("locks")};
    const struct qemu_img_overlay disk = {.path = base, .size_bytes = 1 << 20};
    err = (struct error)ERROR_INIT;
    session = NULL;
    (void)snprintf(base, sizeof(base), "%s/base", temp_folder);
    (void)snprintf(layer, sizeof(layer), "%s/layer", temp_folder);
    (void)unlink(layer);
    if (qemu_img_create_overlay(&disk, &err) < 0 || chmod(base, 0640) < 0)
        return -1;
    return session_open(&options, "test", &session, &err);
}

static int tear_down(void **state)
{
    (void)state;
    (void)record_end(session->record, &err);
    session_close(session);
    return 0;
}

static void note(const char *name, json_t *value)
{
    need(record_note(session->record, name, value, &err));
}

static int state_of_guest(void)
{
    int guest = VIR_DOMAIN_NOSTATE;
    assert_int_equal(virDomainGetState(session->domain, &guest, NULL, 0), 0);
    return guest;
}

static bool is_noted(const char *name)
{
    return record_all(session->record, name) != NULL;
}

/* A place with the snapshot of that name, which is made, and the domain's definition of now. */
static json_t *place(const char *current, const char *state)
{
    char xml[256];
    struct checkpoint_disk disk = {.target = "vda"};
    (void)snprintf(xml, sizeof(xml), "<domainsnapshot><name>%s</name></domainsnapshot>", current);
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(session->domain, xml, 0);
    assert_non_null(snapshot);
    (void)virDomainSnapshotFree(snapshot);
    (void)snprintf(disk.base, sizeof(disk.base), "%s", base);
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", layer);
    char *definition = virDomainGetXMLDesc(session->domain, VIR_DOMAIN_XML_INACTIVE);
    assert_non_null(definition);
    const struct revert_place to = {.current = current,
                                    .state = state,
                                    .memory = "",
                                    .memory_xml = "",
                                    .definition = definition,
                                    .disks = &disk,
                                    .disk_count = strcmp(current, "then") == 0};
    json_t *value = revert_settle_note_of(&to);
    secret_free(definition);
    return value;
}

static void note_revert(json_t *to, bool was_running)
{
    note("revert", json_pack("{s:o, s:b, s:I}", "to", to, "was_running", was_running, "id",
                             (json_int_t)virDomainGetID(session->domain)));
}

static void a_layer_is_the_bases_owners(void **state)
{
    (void)state;
    struct qemu_img_info info;
    struct stat st;
    need(new_layer_create(layer, base, "qcow2", &err));
    need(qemu_img_info(layer, "qcow2", &info, &err));
    assert_string_equal(info.backing_path, base);
    assert_int_equal(info.virtual_size_bytes, 1 << 20);
    assert_int_equal(stat(layer, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(new_layer_create(layer, base, "qcow2", &err), -EEXIST);
}

static void before_the_switch_the_guest_goes_on(void **state)
{
    (void)state;
    note_revert(place("then", "running"), true);
    need(new_layer_create(layer, base, "qcow2", &err));
    note("suspend", json_true());
    assert_int_equal(virDomainSuspend(session->domain), 0);
    need(revert_settle(session, &err));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
    assert_int_equal(access(layer, F_OK), -1);
}

static void one_that_somebody_has_paused_stays_so(void **state)
{
    (void)state;
    note_revert(place("then", "running"), true);
    assert_int_equal(virDomainSuspend(session->domain), 0);
    need(revert_settle(session, &err));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_PAUSED);
}

static void a_file_that_is_no_layer_of_it_stays(void **state)
{
    (void)state;
    note_revert(place("then", "running"), true);
    int fd = open(layer, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    assert_int_equal(close(fd), 0);
    need(revert_settle(session, &err));
    assert_int_equal(access(layer, F_OK), 0);
}

/* Behind the switch the guest is ended only as it was paused. */
static void a_guest_that_runs_on_is_not_ended(void **state)
{
    (void)state;
    need(new_layer_create(layer, base, "qcow2", &err));
    note_revert(place("then", "shut off"), true);
    note("switch", json_pack("{s:o}", "to", place("left", "running")));
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned") && !is_noted("entered"));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
    assert_int_equal(access(layer, F_OK), -1);
    need(revert_settle(session, &err)); /* nothing more is to be done */
}

/* No disk is named, as the test driver's domain has none. */
static void a_stopped_domain_gets_there(void **state)
{
    (void)state;
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("there", "shut off"), false);
    note("switch", json_pack("{s:o}", "to", place("left", "shut off")));
    need(revert_settle(session, &err));
    assert_true(is_noted("entered") && !is_noted("back"));
    virDomainSnapshotPtr current = virDomainSnapshotCurrent(session->domain, 0);
    assert_string_equal(virDomainSnapshotGetName(current), "there");
    (void)virDomainSnapshotFree(current);
}

static void what_cannot_be_entered_is_left(void **state)
{
    (void)state;
    need(new_layer_create(layer, base, "qcow2", &err));
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("then", "shut off"), false); /* its disk is not the domain's */
    note("switch", json_pack("{s:o}", "to", place("left", "shut off")));
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned"));
    assert_int_equal(access(layer, F_OK), -1);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_layer_is_the_bases_owners),           TEST(before_the_switch_the_guest_goes_on),
        TEST(one_that_somebody_has_paused_stays_so), TEST(a_file_that_is_no_layer_of_it_stays),
        TEST(a_guest_that_runs_on_is_not_ended),     TEST(a_stopped_domain_gets_there),
        TEST(what_cannot_be_entered_is_left),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
