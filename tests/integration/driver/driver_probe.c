/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The libvirt driver on its own, against a real libvirtd:
 *   driver_probe OPTION=VALUE... inspect|live|blockcopy|stream|cold UUID [OUTPUT]
 *   driver_probe OPTION=VALUE... direct UUID IMAGE_ID | undo LOCATION
 *   driver_probe OPTION=VALUE... check|create|delete|freeze|thaw UUID
 *   driver_probe OPTION=VALUE... recover UUID [OUTPUT]
 * takes a snapshot, writes the image to OUTPUT and prints one line "key=value ..." about it. Exits
 * with "error exc=CLASS MESSAGE" on stderr and 1 when the driver fails, 3 when it cannot use this
 * method. Options: uri, snapshots, instances, root (the root device), format, compress,
 * compression_type, quiesce, require_quiesce, stall, freeze, deep, ceph_conf, rbd_user, parent (a
 * location); for create volume, new_file and the quiesce ones, for delete volume, file_to_merge and
 * merge_target_file. journal is a file that entries are added to and that recover reads, reserve
 * what stays free in MiB, rate the MiB/s of a copy, state the folder of a failpoint (see
 * common/failpoint.h), rebooted what recover is told, deleted that nova no longer has the instance
 * when it is asked; again that the snapshot is taken twice over one connection, with the failpoint
 * "probe:again" in between. SIGUSR1 cancels the work, with the class that cancel names
 * (ImageNotFound).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "driver/driver.h"
#include "driver/libvirt_driver.h"

#define READ_BYTES (1U << 20)

struct probe {
    struct libvirt_driver_options options;
    struct snapshot_plan plan;
    const char *root_device_name;
    const char *parent;
    struct volume_overlay overlay;
    struct volume_merge merge;
    const char *journal_path;
    json_t *entries; /* of this life */
    const char *state;
    bool rebooted, deleted, again;
    unsigned reserve_mib, rate_mib;
    const char *cancel_exc;
    struct cancel *cancel;
};

static int write_entry(void *arg, const json_t *entry, struct error *err)
{
    const struct probe *probe = arg;
    (void)json_array_append_new(probe->entries, json_deep_copy(entry));
    if (!probe->journal_path)
        return 0;
    cleanup_fclose FILE *file = fopen(probe->journal_path, "ae");
    if (!file || json_dumpf(entry, file, JSON_COMPACT) < 0 || fputc('\n', file) < 0)
        return error_set(err, 5, EXC_INTERNAL_ERROR, "cannot write %s", probe->journal_path);
    return 0;
}

static int tell_frozen(void *arg, bool frozen, struct error *err)
{
    (void)arg;
    (void)err;
    printf("frozen=%d\n", frozen);
    return 0;
}

static int tell_instance(void *arg, bool *ret_has, struct error *err)
{
    (void)err;
    *ret_has = !((const struct probe *)arg)->deleted;
    return 0;
}

static bool tell_to_run(void *arg)
{
    (void)arg;
    return true;
}

static json_t *read_entries(const char *path)
{
    json_t *entries = json_array();
    cleanup_fclose FILE *file = fopen(path, "re");
    for (json_t *entry; file && (entry = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));)
        (void)json_array_append_new(entries, entry);
    return entries;
}

static bool set_option(struct probe *probe, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (!equals)
        return false;
    const char *value = equals + 1;
    const struct {
        const char *name;
        const char **text;
        bool *flag;
        unsigned *number;
    } options[] = {
        {"uri", &probe->options.connection_uri, NULL, NULL},
        {"snapshots", &probe->options.snapshots_directory, NULL, NULL},
        {"instances", &probe->options.instances_path, NULL, NULL},
        {"format", &probe->plan.image_format, NULL, NULL},
        {"ceph_conf", &probe->options.rbd.ceph_conf, NULL, NULL},
        {"rbd_user", &probe->options.rbd.user, NULL, NULL},
        {"root", &probe->root_device_name, NULL, NULL},
        {"parent", &probe->parent, NULL, NULL},
        {"compression_type", &probe->plan.compression_type, NULL, NULL},
        {"volume", &probe->overlay.volume_id, NULL, NULL},
        {"new_file", &probe->overlay.new_file, NULL, NULL},
        {"file_to_merge", &probe->merge.file_to_merge, NULL, NULL},
        {"merge_target_file", &probe->merge.merge_target_file, NULL, NULL},
        {"journal", &probe->journal_path, NULL, NULL},
        {"state", &probe->state, NULL, NULL},
        {"cancel", &probe->cancel_exc, NULL, NULL},
        {"rebooted", NULL, &probe->rebooted, NULL},
        {"deleted", NULL, &probe->deleted, NULL},
        {"again", NULL, &probe->again, NULL},
        {"compress", NULL, &probe->plan.compress, NULL},
        {"quiesce", NULL, &probe->plan.quiesce, NULL},
        {"require_quiesce", NULL, &probe->plan.require_quiesce, NULL},
        {"deep", NULL, &probe->options.deep_image_inspection, NULL},
        {"stall", NULL, NULL, &probe->options.stall_timeout_s},
        {"reserve", NULL, NULL, &probe->reserve_mib},
        {"rate", NULL, NULL, &probe->rate_mib},
        {"freeze", NULL, NULL, &probe->options.freeze_timeout_s},
    };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (strlen(options[i].name) != (size_t)(equals - argument) ||
            strncmp(options[i].name, argument, (size_t)(equals - argument)) != 0)
            continue;
        if (options[i].text)
            *options[i].text = value;
        else if (options[i].flag)
            *options[i].flag = strcmp(value, "1") == 0;
        else
            *options[i].number = (unsigned)strtoul(value, NULL, 10);
        return true;
    }
    return false;
}

static int write_image(struct image_source *image, const char *path, struct error *err)
{
    cleanup_free char *buffer = malloc(READ_BYTES);
    cleanup_close int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (!buffer || fd < 0)
        return error_nomem(err);
    for (;;) {
        ssize_t n = image->ops->read(image, buffer, READ_BYTES, err);
        if (n <= 0)
            return (int)n;
        if (write(fd, buffer, (size_t)n) != n)
            return error_set(err, 5, EXC_INTERNAL_ERROR, "cannot write %s", path);
    }
}

/* What a streamed image leaves. */
static int bring_guest_back(struct driver *driver, const struct probe *probe, const char *uuid,
                            struct error *err)
{
    struct image_source *none = NULL;
    const struct driver_recovery recovery = {.uuid = uuid, .entries = probe->entries};
    return driver->ops->recover(driver, &recovery, &none, err);
}

static int take_snapshot(struct driver *driver, const struct probe *probe,
                         const struct guest_info *info, const char *output, struct error *err)
{
    struct snapshot_result result = {0};
    struct error failure = ERROR_INIT;
    uint64_t started = clock_now_ms();
    int r = driver->ops->extract(driver, info, &probe->plan, &result, err);
    if (r < 0)
        return r;
    printf("extract_ms=%" PRIu64 " size=%" PRIu64 " quiesced=%d paused_ms=%u\n",
           clock_now_ms() - started, result.image->size_bytes, result.quiesced,
           result.guest_paused_ms);
    if (output)
        r = write_image(result.image, output, err);
    image_source_close(result.image);
    if (result.guest_is_back || bring_guest_back(driver, probe, info->uuid, &failure) == 0)
        return r;
    error_join(err, &failure);
    return -err->errnum;
}

static enum snapshot_method method_of(const char *command)
{
    if (strcmp(command, "live") == 0)
        return SNAPSHOT_METHOD_BLOCKREBASE;
    if (strcmp(command, "blockcopy") == 0)
        return SNAPSHOT_METHOD_BLOCKCOPY;
    return strcmp(command, "stream") == 0 ? SNAPSHOT_METHOD_STREAM : SNAPSHOT_METHOD_COLD;
}

static int take_direct_snapshot(struct driver *driver, const struct probe *probe,
                                const struct guest_info *info, const char *image_id,
                                struct error *err)
{
    const char *const locations[] = {probe->parent, NULL};
    const struct direct_snapshot direct = {.image_id = image_id ? image_id : "",
                                           .parent_locations = locations,
                                           .quiesce = probe->plan.quiesce,
                                           .require_quiesce = probe->plan.require_quiesce,
                                           .journal = probe->plan.journal};
    cleanup_free char *location = NULL;
    uint64_t started = clock_now_ms();
    int r = driver->ops->direct_snapshot(driver, info, &direct, &location, err);
    if (r == 0)
        printf("direct_ms=%" PRIu64 " location=%s\n", clock_now_ms() - started, location);
    return r;
}

static int inspect_and_run(struct driver *driver, struct probe *probe, const char *command,
                           const char *uuid, const char *output, struct error *err)
{
    struct guest_info info;
    uint64_t started = clock_now_ms();
    const struct guest_id guest = {.uuid = uuid, .root_device_name = probe->root_device_name};
    int r = driver->ops->inspect(driver, &guest, &info, err);
    if (r == 0)
        printf("inspect_ms=%" PRIu64 " state=%u persistent=%d qemu=%d source_type=%u path=%s "
               "target=%s format=%s virtual_size=%" PRIu64 " backing=%s backing_format=%s\n",
               clock_now_ms() - started, info.power_state, info.persistent, info.connection_is_qemu,
               info.source_type, info.disk_path, info.disk_target, info.disk_format,
               info.virtual_size_bytes, info.backing_path, info.backing_format);
    (void)fflush(stdout);
    if (r < 0 || strcmp(command, "inspect") == 0)
        return r;
    if (strcmp(command, "direct") == 0)
        return take_direct_snapshot(driver, probe, &info, output, err);
    probe->plan.method = method_of(command);
    return take_snapshot(driver, probe, &info, output, err);
}

static int recover(struct driver *driver, const struct probe *probe, const char *uuid,
                   const char *output, struct error *err)
{
    struct image_source *image = NULL;
    json_t *entries = read_entries(probe->journal_path);
    const struct driver_recovery recovery = {uuid, entries, probe->rebooted, probe->plan.owner};
    int r = driver->ops->recover(driver, &recovery, &image, err);
    json_decref(entries);
    if (r < 0)
        return r;
    printf("recovered image=%d\n", image != NULL);
    if (image && output)
        r = write_image(image, output, err);
    image_source_close(image);
    return r;
}

/* `subject` is a uuid, or a location for "undo". */
static int run_command(struct driver *driver, struct probe *probe, const char *command,
                       const char *subject, const char *output, struct error *err)
{
    const struct driver_ops *ops = driver->ops;
    probe->merge.volume_id = probe->overlay.volume_id;
    probe->overlay.quiesce = probe->plan.quiesce;
    probe->overlay.require_quiesce = probe->plan.require_quiesce;
    probe->overlay.journal = probe->plan.journal;
    if (strcmp(command, "recover") == 0)
        return recover(driver, probe, subject, output, err);
    if (strcmp(command, "check") == 0)
        return ops->check_host(driver, err);
    if (strcmp(command, "undo") == 0)
        return ops->undo_direct_snapshot(driver, subject, probe->plan.journal, err);
    if (strcmp(command, "create") == 0)
        return ops->volume_snapshot_create(driver, subject, &probe->overlay, err);
    if (strcmp(command, "delete") == 0)
        return ops->volume_snapshot_delete(driver, subject, &probe->merge, err);
    if (strcmp(command, "freeze") == 0)
        return ops->freeze(driver, subject, err);
    if (strcmp(command, "thaw") == 0)
        return ops->thaw(driver, subject, err);
    return inspect_and_run(driver, probe, command, subject, output, err);
}

static void *wait_for_signal(void *arg)
{
    const struct probe *probe = arg;
    struct error reason = ERROR_INIT;
    sigset_t signals;
    int number = 0;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGUSR1);
    (void)sigwait(&signals, &number);
    (void)error_set(&reason, ECANCELED, probe->cancel_exc, "cancelled by a signal");
    cancel_request(probe->cancel, &reason);
    return NULL;
}

/* Before other threads are started. The thread ends with the process. */
static int let_signal_cancel(struct probe *probe, struct error *err)
{
    sigset_t signals;
    pthread_t thread;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int r = cancel_new(&probe->cancel, err);
    if (r < 0)
        return r;
    (void)cancel_enter(probe->cancel);
    r = pthread_create(&thread, NULL, wait_for_signal, probe);
    if (r != 0)
        return error_errno(err, r, "cannot wait for a signal");
    (void)pthread_detach(thread);
    return 0;
}

static int run(struct probe *probe, const char *command, const char *subject, const char *output,
               struct error *err)
{
    struct driver *driver = NULL;
    probe->options.disk_bytes_per_s = (uint64_t)probe->rate_mib << 20;
    probe->options.scratch_reserve_bytes = (uint64_t)probe->reserve_mib << 20;
    int r = let_signal_cancel(probe, err);
    if (r == 0)
        r = libvirt_driver_new(&probe->options, &driver, err);
    if (r < 0)
        return r;
    r = run_command(driver, probe, command, subject, output, err);
    if (r == 0 && probe->again) {
        failpoint("probe:again");
        r = run_command(driver, probe, command, subject, output, err);
    }
    driver_free(driver);
    return r;
}

int main(int argc, char **argv)
{
    struct probe probe = {.options = {.connection_uri = "",
                                      .virt_type = "qemu",
                                      .snapshots_directory = "/var/tmp/snapshots",
                                      .instances_path = "/var/tmp/instances",
                                      .stall_timeout_s = 60,
                                      .freeze_timeout_s = 5,
                                      .deep_image_inspection = true,
                                      .rbd = {.ceph_conf = "",
                                              .user = "",
                                              .connect_timeout_s = 5,
                                              .op_timeout_s = 30,
                                              .destroy_retries = 12,
                                              .destroy_retry_interval_s = 1}},
                          .plan = {.image_format = "qcow2", .compression_type = "zlib"},
                          .root_device_name = "/dev/vda",
                          .cancel_exc = EXC_IMAGE_NOT_FOUND};
    int i = 1;
    while (i < argc && set_option(&probe, argv[i]))
        i++;
    if (argc - i < 2) {
        (void)fputs("usage: driver_probe OPTION=VALUE... COMMAND SUBJECT [OUTPUT]\n", stderr);
        return 2;
    }
    log_init(LOG_LEVEL_DEBUG);
    const struct driver_journal journal = {write_entry, tell_frozen, &probe};
    probe.entries = json_array();
    const struct driver_owner owner = {tell_instance, tell_to_run, &probe};
    probe.plan.journal = &journal;
    probe.plan.owner = &owner;
    if (probe.state)
        failpoint_init(probe.state);
    struct error err = ERROR_INIT;
    if (run(&probe, argv[i], argv[i + 1], argc - i > 2 ? argv[i + 2] : NULL, &err) == 0)
        return 0;
    (void)fprintf(stderr, "error exc=%s %s\n", err.exc, err.message);
    return err.errnum == EOPNOTSUPP ? 3 : 1;
}
