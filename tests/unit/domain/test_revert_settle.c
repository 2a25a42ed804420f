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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/id.h"
#include "common/log.h"
#include "common/secret.h"
#include "domain/domain_run.h"
#include "domain/layer_map.h"
#include "domain/leftover.h"
#include "domain/new_layer.h"
#include "domain/revert.h"
#include "domain/revert_layers.h"
#include "domain/revert_settle.h"
#include "driver/image/qemu_img.h"
#include "tests/unit/driver/temp_folder.h"

static struct error err;
static struct session *session;
static char base[PATH_MAX], layer[PATH_MAX];
static bool map_fails, disk_failed, is_from_snapshot;
static char warning[1024]; /* the last one */

int __real_layer_map_read(const struct session *of, struct layer_map *map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *map, struct error *error);
int __wrap_layer_map_read(const struct session *of, struct layer_map *map, struct error *error)
{
    return map_fails ? error_set(error, EIO, EXC_INTERNAL_ERROR, "a file cannot be read")
                     : __real_layer_map_read(of, map, error);
}

int __real_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags);
int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags);
int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags)
{
    int r = __real_virDomainGetState(domain, state, reason, flags);
    if (disk_failed && reason)
        *reason = VIR_DOMAIN_PAUSED_IOERROR;
    if (is_from_snapshot && reason)
        *reason = VIR_DOMAIN_RUNNING_FROM_SNAPSHOT;
    return r;
}

static int layer_fails; /* to be looked at, so */

int __real_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st)
{
    if (layer_fails == 0 || strcmp(path, layer) != 0)
        return __real_lstat(path, st);
    errno = layer_fails;
    return -1;
}

void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_write(enum log_level level, const struct log_place *place, const char *format, ...)
{
    (void)place;
    if (level != LOG_LEVEL_WARNING)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(warning, sizeof(warning), format, arguments);
    va_end(arguments);
}

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
    map_fails = disk_failed = is_from_snapshot = false;
    layer_fails = 0;
    warning[0] = '\0';
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
    json_t *run = NULL;
    need(domain_run_read(session, &run, &err));
    note("revert", json_pack("{s:o, s:b, s:o}", "to", to, "was_running", was_running, "run", run));
}

static void make_layer(void)
{
    struct checkpoint_disk disk = {.target = "vda"};
    (void)snprintf(disk.overlay, sizeof(disk.overlay), "%s", layer);
    need(new_layer_create(layer, base, "qcow2", &err));
    need(revert_layers_note(session, &disk, 1, &err));
}

static void write_to_layer(void)
{
    int fd = open(layer, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "guest's", 7), 7);
    assert_int_equal(close(fd), 0);
}

/* One that was begun when the host had this boot's id. */
static void begin_record(const char *boot)
{
    record_close(session->record);
    session->record = NULL;
    FILE *file = fopen(temp_path("record"), "we");
    assert_non_null(file);
    (void)fprintf(file, "{\"boot\":\"%s\"}\n", boot);
    assert_int_equal(fclose(file), 0);
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/records/%s", temp_folder, session->uuid);
    assert_int_equal(chmod(temp_path("record"), 0600), 0);
    assert_int_equal(rename(temp_path("record"), path), 0);
    need(record_open(temp_folder, session->uuid, &session->record, &err));
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

/* What was noted of it does not fit the guest of now: nobody would know why it stands still. Also
 * one that has the id of then, from a libvirtd that was started anew; takes `noted`. */
static void stays_paused_and_is_told(json_t *noted)
{
    (void)json_object_set_new(noted, "to", place("then", "running"));
    (void)json_object_set_new(noted, "was_running", json_true());
    note("revert", noted);
    note("suspend", json_true());
    assert_int_equal(virDomainSuspend(session->domain), 0);
    need(revert_settle(session, &err));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_PAUSED);
    assert_non_null(strstr(warning, "`virsh resume`"));
}

static int id_of_guest(void)
{
    return (int)virDomainGetID(session->domain);
}

static void another_guest_stays_paused_and_is_told(void **state)
{
    (void)state;
    stays_paused_and_is_told(json_pack("{s:{s:i}}", "run", "id", id_of_guest() + 1));
}

static void one_of_the_same_id_stays_paused_and_is_told(void **state)
{
    (void)state;
    stays_paused_and_is_told(
        json_pack("{s:{s:i, s:s}}", "run", "id", id_of_guest(), "qemu", "boot 4711 1"));
}

static void one_of_an_old_record_stays_paused_and_is_told(void **state)
{
    (void)state;
    stays_paused_and_is_told(json_pack("{s:i}", "id", id_of_guest()));
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

static void nor_goes_a_layer_with_something_in_it(void **state)
{
    (void)state;
    char command[PATH_MAX + 64];
    note_revert(place("then", "running"), true);
    need(new_layer_create(layer, base, "qcow2", &err));
    (void)snprintf(command, sizeof(command), "qemu-io -f qcow2 -c 'write 0 64k' %s >/dev/null",
                   layer);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    need(revert_settle(session, &err));
    assert_int_equal(access(layer, F_OK), 0);
}

/* Behind the switch the guest is ended only as it was paused. */
static void a_guest_that_runs_on_is_not_ended(void **state)
{
    (void)state;
    make_layer();
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
    assert_non_null(session->outcome);
    virDomainSnapshotPtr current = virDomainSnapshotCurrent(session->domain, 0);
    assert_string_equal(virDomainSnapshotGetName(current), "there");
    (void)virDomainSnapshotFree(current);
}

static void what_cannot_be_entered_is_left(void **state)
{
    (void)state;
    make_layer();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("then", "shut off"), false); /* its disk is not the domain's */
    note("switch", json_pack("{s:o}", "to", place("left", "shut off")));
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned"));
    assert_int_equal(access(layer, F_OK), -1);
}

/* The guest was at the checkpoint, and has written there: a memory of then does not fit. */
static void nothing_is_started_on_what_was_written_to(void **state)
{
    (void)state;
    make_layer();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("then", "running"), false);
    note("switch", json_pack("{s:o}", "to", place("left", "running")));
    write_to_layer();
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && !is_noted("back"));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_SHUTOFF);
    assert_int_equal(access(layer, F_OK), 0);
}

static void hold_at_what_is_left(void)
{
    make_layer();
    note_revert(place("then", "shut off"), true);
    note("suspend", json_true());
    assert_int_equal(virDomainSuspend(session->domain), 0);
    note("switch", json_pack("{s:o}", "to", place("left", "running")));
}

/* As it was empty nothing is lost with it, and this guest is nobody else's. */
static void one_whose_new_layer_has_gone_runs_on(void **state)
{
    (void)state;
    hold_at_what_is_left();
    assert_int_equal(unlink(layer), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned") && !is_noted("entered"));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
    assert_non_null(strstr(warning, "gone"));
}

/* It was ended for this, and what is left of it is whole. */
static void one_that_was_ended_comes_back_to_what_is_left(void **state)
{
    (void)state;
    make_layer();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("then", "running"), true);
    note("switch", json_pack("{s:o}", "to", place("left", "shut off")));
    assert_int_equal(unlink(layer), 0);
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned") && !is_noted("entered"));
    virDomainSnapshotPtr current = virDomainSnapshotCurrent(session->domain, 0);
    assert_string_equal(virDomainSnapshotGetName(current), "left");
    (void)virDomainSnapshotFree(current);
}

static void assert_waits(int why)
{
    err = (struct error)ERROR_INIT;
    assert_int_equal(revert_settle(session, &err), -why);
    assert_false(is_noted("entered") || is_noted("back") || is_noted("returned"));
}

static void move_storage(const char *from, const char *to)
{
    assert_int_equal(rename(temp_path(from), temp_path(to)), 0);
}

/* A host that starts looks for it before its storage is mounted. */
static void what_cannot_be_looked_at_was_not_written_to(void **state)
{
    (void)state;
    const char *storage = temp_path("storage");
    assert_int_equal(mkdir(storage, 0700), 0);
    (void)snprintf(layer, sizeof(layer), "%s/layer", storage);
    make_layer();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("then", "shut off"), false); /* its disk is not the domain's */
    note("switch", json_pack("{s:o}", "to", place("left", "shut off")));
    move_storage("storage", "away");
    assert_waits(ENOENT);
    assert_int_equal(mkdir(storage, 0700), 0);
    assert_waits(ENOENT);
    assert_non_null(strstr(err.message, "mounted"));
    assert_int_equal(rmdir(storage), 0);
    move_storage("away", "storage");
    layer_fails = ESTALE;
    assert_waits(ESTALE);
    layer_fails = 0;
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned"));
    assert_int_equal(rmdir(storage), 0);
}

static void meanwhile_a_guest_that_is_held_goes_on(void **state)
{
    (void)state;
    hold_at_what_is_left();
    layer_fails = EIO;
    assert_int_equal(leftover_undo(session, &err), -EIO);
    assert_false(record_is_empty(session->record));
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
}

/* Started by somebody, and paused: what the session has looked up still has the id of before. */
static void nor_another_guest_of_the_domain(void **state)
{
    (void)state;
    hold_at_what_is_left();
    virDomainPtr domain = virDomainLookupByName(virDomainGetConnect(session->domain), "test");
    assert_int_equal(virDomainDestroy(domain), 0);
    assert_int_equal(virDomainCreate(domain), 0);
    assert_int_equal(virDomainSuspend(domain), 0);
    (void)virDomainFree(domain);
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned"));
    assert_int_not_equal(state_of_guest(), VIR_DOMAIN_SHUTOFF);
}

static void nor_one_whose_disk_has_failed(void **state)
{
    (void)state;
    hold_at_what_is_left();
    disk_failed = true;
    need(revert_settle(session, &err));
    assert_true(is_noted("back") && is_noted("returned"));
    assert_int_not_equal(state_of_guest(), VIR_DOMAIN_SHUTOFF);
}

static enum revert_layers look_at_layer(void)
{
    enum revert_layers found = REVERT_LAYERS_GONE;
    json_t *disks = json_pack("[{s:s}]", "overlay", layer);
    need(revert_layers_look(session, disks, &found, &err));
    json_decref(disks);
    return found;
}

/* Where the number of a file system's device is another after a reboot. */
static void another_device_number_is_no_other_layer(void **state)
{
    (void)state;
    char own[ID_UUID_SIZE];
    need(id_read_boot(own, &err));
    for (size_t i = 0; i < 2; i++) {
        struct stat st;
        (void)unlink(layer);
        need(new_layer_create(layer, base, "qcow2", &err));
        assert_int_equal(stat(layer, &st), 0);
        begin_record(i == 0 ? "another" : own);
        note("layers", json_pack("[{s:s, s:I, s:I, s:I, s:I}]", "path", layer, "dev",
                                 (json_int_t)st.st_dev + 1, "ino", (json_int_t)st.st_ino,
                                 "size_bytes", (json_int_t)st.st_size, "mtime_ns",
                                 (json_int_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec));
        assert_int_equal(look_at_layer(), i == 0 ? REVERT_LAYERS_UNTOUCHED : REVERT_LAYERS_WRITTEN);
        write_to_layer();
        assert_int_equal(look_at_layer(), REVERT_LAYERS_WRITTEN);
        assert_int_equal(record_end(session->record, &err), 0);
    }
}

static void a_memory_that_libvirt_keeps_is_not_used_up(void **state)
{
    (void)state;
    make_layer();
    note_revert(place("then", "running"), true);
    note("switch", json_pack("{s:o}", "to", place("left", "running")));
    assert_int_equal(virDomainManagedSave(session->domain, 0), 0);
    assert_int_equal(revert_settle(session, &err), -EBUSY);
    assert_false(is_noted("back") || is_noted("entered"));
    assert_int_equal(virDomainHasManagedSaveImage(session->domain, 0), 1);
    assert_int_equal(virDomainManagedSaveRemove(session->domain, 0), 0);
}

/* Else its memory of then would be woken once more. */
static void that_it_is_back_is_noted_before_files_go(void **state)
{
    (void)state;
    make_layer();
    note_revert(place("then", "shut off"), true);
    note("switch", json_pack("{s:o}", "to", place("left", "running")));
    map_fails = true;
    assert_int_equal(revert_settle(session, &err), -EIO);
    assert_true(is_noted("returned"));
    map_fails = false;
    need(revert_settle(session, &err));
    assert_int_equal(access(layer, F_OK), -1);
}

static void whatever_fails_the_guest_goes_on(void **state)
{
    (void)state;
    note_revert(place("then", "running"), true);
    note("suspend", json_true());
    assert_int_equal(virDomainSuspend(session->domain), 0);
    note("snapshot", json_pack("{s:s, s:s, s:[]}", "name", "none", "memory", layer, "disks"));
    note("begun", json_integer(0));
    map_fails = true;
    assert_int_equal(leftover_undo(session, &err), -EIO);
    assert_int_equal(state_of_guest(), VIR_DOMAIN_RUNNING);
}

static void note_internal(void)
{
    json_t *run = NULL;
    need(domain_run_read(session, &run, &err));
    note("internal", json_pack("{s:s, s:o}", "name", "then", "run", run));
    note("begun", json_integer(0));
}

static int go_back_to(const char *name, bool force)
{
    const struct revert_request request = {.name = name, .force = force};
    struct revert_report report;
    err = (struct error)ERROR_INIT;
    return revert_run(session, &request, &report, &err);
}

/* One of its disks may be of then, and the other of now. */
static void what_is_half_gone_back_is_not_forgotten(void **state)
{
    (void)state;
    note_internal();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    for (int time = 0; time < 2; time++) {
        err = (struct error)ERROR_INIT;
        assert_int_equal(leftover_undo(session, &err), -EBUSY);
        assert_non_null(strstr(err.message, "go back to checkpoint then once more"));
        assert_non_null(strstr(err.message, record_path(session->record)));
    }
    assert_int_equal(go_back_to("then", false), -EBUSY);
    assert_int_equal(go_back_to("another", true), -EBUSY);
    assert_int_equal(go_back_to("then", true), -ENOENT); /* let past, and there is none such */
    assert_false(record_is_empty(session->record));
    note("entered", json_true());
    need(leftover_undo(session, &err));
    assert_true(record_is_empty(session->record));
}

/* An external one of the name would be another. */
static void only_that_one_is_let_past(void **state)
{
    (void)state;
    json_decref(place("then", "running"));
    note_internal();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    assert_true(go_back_to("then", true) < 0);
    assert_false(is_noted("revert"));
    assert_false(record_is_empty(session->record));
}

static void a_guest_that_libvirt_left_alone_is_whole(void **state)
{
    (void)state;
    note_internal();
    need(leftover_undo(session, &err));
    assert_non_null(strstr(warning, "go back once more"));
    note_internal();
    assert_int_equal(virDomainSuspend(session->domain), 0); /* as it is while libvirt is at it */
    err = (struct error)ERROR_INIT;
    assert_int_equal(leftover_undo(session, &err), -EBUSY);
}

static void but_not_one_that_was_started_behind_a_failure(void **state)
{
    (void)state;
    note_internal();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    assert_int_equal(virDomainCreate(session->domain), 0);
    note_internal(); /* once more, which fails as well */
    assert_int_equal(leftover_undo(session, &err), -EBUSY);
}

static void so_is_one_that_it_has_started_for_that(void **state)
{
    (void)state;
    note_internal();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    assert_int_equal(virDomainCreate(session->domain), 0);
    assert_int_equal(leftover_undo(session, &err), -EBUSY); /* by somebody else */
    err = (struct error)ERROR_INIT;
    is_from_snapshot = true;
    need(leftover_undo(session, &err));
}

static void nor_was_libvirt_asked_where_no_call_is_noted(void **state)
{
    (void)state;
    note("internal", json_pack("{s:s}", "name", "then"));
    assert_int_equal(virDomainDestroy(session->domain), 0);
    need(leftover_undo(session, &err));
}

static void it_comes_back_without_its_checkpoint(void **state)
{
    (void)state;
    make_layer();
    assert_int_equal(virDomainDestroy(session->domain), 0);
    note_revert(place("then", "shut off"), false);
    note("switch", json_pack("{s:o}", "to", place("left", "shut off")));
    virDomainSnapshotPtr left = virDomainSnapshotLookupByName(session->domain, "left", 0);
    assert_int_equal(virDomainSnapshotDelete(left, 0), 0);
    (void)virDomainSnapshotFree(left);
    need(revert_settle(session, &err));
    assert_true(is_noted("returned"));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_layer_is_the_bases_owners),
        TEST(before_the_switch_the_guest_goes_on),
        TEST(another_guest_stays_paused_and_is_told),
        TEST(one_of_the_same_id_stays_paused_and_is_told),
        TEST(one_of_an_old_record_stays_paused_and_is_told),
        TEST(one_that_somebody_has_paused_stays_so),
        TEST(a_file_that_is_no_layer_of_it_stays),
        TEST(nor_goes_a_layer_with_something_in_it),
        TEST(a_guest_that_runs_on_is_not_ended),
        TEST(a_stopped_domain_gets_there),
        TEST(what_cannot_be_entered_is_left),
        TEST(nothing_is_started_on_what_was_written_to),
        TEST(one_whose_new_layer_has_gone_runs_on),
        TEST(one_that_was_ended_comes_back_to_what_is_left),
        TEST(what_cannot_be_looked_at_was_not_written_to),
        TEST(meanwhile_a_guest_that_is_held_goes_on),
        TEST(nor_another_guest_of_the_domain),
        TEST(nor_one_whose_disk_has_failed),
        TEST(another_device_number_is_no_other_layer),
        TEST(a_memory_that_libvirt_keeps_is_not_used_up),
        TEST(that_it_is_back_is_noted_before_files_go),
        TEST(whatever_fails_the_guest_goes_on),
        TEST(it_comes_back_without_its_checkpoint),
        TEST(what_is_half_gone_back_is_not_forgotten),
        TEST(only_that_one_is_let_past),
        TEST(a_guest_that_libvirt_left_alone_is_whole),
        TEST(but_not_one_that_was_started_behind_a_failure),
        TEST(so_is_one_that_it_has_started_for_that),
        TEST(nor_was_libvirt_asked_where_no_call_is_noted),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
