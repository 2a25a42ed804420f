/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A volume on vdb of the scripted libvirt's guest: a chain of real files, the snapshot that puts
 * one on top, the block jobs that take one out.
 */
#pragma once

#include "driver/volume/chain.h"
#include "tests/unit/driver/scripted_libvirt.h"
#include "tests/unit/driver/volume_files.h"

#define VOLUME_ID "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"
#define LAYERS_MAX 8

enum merge_course {
    MERGE_COMPLETES,
    MERGE_COMPLETES_UNHEARD, /* no event comes */
    MERGE_COMPLETES_FALSELY, /* an event comes, the chain is as before */
    MERGE_FAILS,
    MERGE_FAILS_LATER, /* at the second look; the next one completes */
    MERGE_VANISHES,
    MERGE_STALLS,
    MERGE_STALLS_FOR_GOOD, /* it cannot even be ended */
    MERGE_COMPLETES_WHEN_ENDED,
    MERGE_OUTLIVES_LIBVIRTD,
    MERGE_SEES_GUEST_END,
    MERGE_SEES_GUEST_END_AFTER, /* it had completed */
};

static struct {
    const char *layers[LAYERS_MAX]; /* file names, the first is on top */
    const char *formats[LAYERS_MAX];
    size_t count;
    bool two_volumes, network; /* another disk has the same serial; no file at all */
    enum merge_course course;
    int job_type; /* 0 = none */
    size_t job_first, job_end;
    unsigned looks;
    char top[256], base[256]; /* as the job was asked for */
    unsigned flags;
    char snapshot_xml[2048];
} volume;

static void volume_has(size_t count, const char *const *names)
{
    volume.count = count;
    for (size_t i = 0; i < count; i++) {
        volume.layers[i] = names[i];
        volume.formats[i] = strcmp(names[i], "vol") == 0 ? "raw" : "qcow2";
    }
}

static void assert_layers(size_t count, const char *const *names)
{
    assert_int_equal(volume.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(volume.layers[i], names[i]);
}

static char *volume_xml(void)
{
    char *xml = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&xml, &size);
    if (!out)
        abort();
    (void)fprintf(out, "<domain><devices><disk type='file'><driver type='qcow2'/>"
                       "<source file='/i/disk'/><target dev='vda'/></disk>");
    for (int copy = 0; copy <= volume.two_volumes; copy++) {
        (void)fprintf(out, "<disk type='%s'><driver type='%s'/><source %s='%s' index='%zu'/>",
                      volume.network ? "network" : "file", volume.formats[0],
                      volume.network ? "name" : "file", temp_path(volume.layers[0]), volume.count);
        for (size_t i = 1; world.active && i < volume.count; i++)
            (void)fprintf(out,
                          "<backingStore type='file' index='%zu'><format type='%s'/>"
                          "<source file='%s'/>",
                          volume.count - i, volume.formats[i], temp_path(volume.layers[i]));
        if (world.active)
            (void)fprintf(out, "<backingStore/>");
        for (size_t i = 1; world.active && i < volume.count; i++)
            (void)fprintf(out, "</backingStore>");
        (void)fprintf(out, "<target dev='vd%c'/><serial>" VOLUME_ID "</serial></disk>", 'b' + copy);
    }
    (void)fprintf(out, "</devices></domain>");
    (void)fclose(out);
    return xml;
}

static void tell_volume_job(int status)
{
    domain_watches_block_job(world.watches, UUID, "vdb", status);
}

static void take_layers_out(void)
{
    size_t gone = volume.job_end - volume.job_first;
    for (size_t i = volume.job_first; i + gone < volume.count; i++) {
        volume.layers[i] = volume.layers[i + gone];
        volume.formats[i] = volume.formats[i + gone];
    }
    volume.count -= gone;
}

/* What QEMU would have written into the header of the layer above. */
static void write_header(void)
{
    size_t above = volume.job_first - 1;
    const char *const argv[] = {"qemu-img",
                                "rebase",
                                "-q",
                                "-u",
                                "-f",
                                "qcow2",
                                "-b",
                                above + 1 < volume.count ? volume.layers[above + 1] : "",
                                "-F",
                                above + 1 < volume.count ? volume.formats[above + 1] : "raw",
                                temp_path(volume.layers[above]),
                                NULL};
    qemu_img(argv);
}

static void end_volume_job(bool done, int status)
{
    volume.job_type = 0;
    if (done)
        take_layers_out();
    if (status >= 0)
        tell_volume_job(status);
}

/* The layer called "vdb[INDEX]". */
static size_t layer_place(const char *name)
{
    for (size_t i = 0; i < volume.count; i++) {
        char indexed[32];
        (void)snprintf(indexed, sizeof(indexed), "vdb[%zu]", volume.count - i);
        if (strcmp(indexed, name) == 0)
            return i;
    }
    abort(); /* never: a name of something else */
}

static void begin_merge(int type, size_t first, size_t end)
{
    volume.job_type = type;
    volume.job_first = first;
    volume.job_end = end;
    switch (volume.course) {
    case MERGE_COMPLETES:
        end_volume_job(true, VIR_DOMAIN_BLOCK_JOB_COMPLETED);
        break;
    case MERGE_COMPLETES_UNHEARD:
        end_volume_job(true, -1);
        break;
    case MERGE_COMPLETES_FALSELY:
        end_volume_job(false, VIR_DOMAIN_BLOCK_JOB_COMPLETED);
        break;
    case MERGE_FAILS:
        end_volume_job(false, VIR_DOMAIN_BLOCK_JOB_FAILED);
        break;
    case MERGE_VANISHES:
        end_volume_job(false, -1);
        break;
    case MERGE_OUTLIVES_LIBVIRTD:
        world.connection_lost = true;
        domain_watches_disconnected(world.watches);
        break;
    case MERGE_SEES_GUEST_END:
        end_volume_job(false, -1);
        end_guest();
        break;
    case MERGE_SEES_GUEST_END_AFTER:
        end_volume_job(true, -1);
        write_header();
        end_guest();
        break;
    case MERGE_FAILS_LATER:
    case MERGE_STALLS:
    case MERGE_STALLS_FOR_GOOD:
    case MERGE_COMPLETES_WHEN_ENDED:
        break;
    }
}

static int read_volume_job(virDomainBlockJobInfoPtr info)
{
    if (world.foreign_job)
        return 1;
    info->type = volume.job_type;
    info->cur = volume.course == MERGE_OUTLIVES_LIBVIRTD ? ++volume.looks : 1;
    info->end = 1000;
    bool there = volume.job_type != 0;
    if (there && volume.course == MERGE_FAILS_LATER && ++volume.looks == 2) {
        volume.course = MERGE_COMPLETES;
        end_volume_job(false, VIR_DOMAIN_BLOCK_JOB_FAILED); /* heard of after this look */
    }
    if (there && volume.course == MERGE_OUTLIVES_LIBVIRTD && volume.looks == 2)
        end_volume_job(true, VIR_DOMAIN_BLOCK_JOB_COMPLETED); /* heard of after this look */
    return there;
}

static int abort_volume_job(unsigned flags)
{
    if (world.foreign_job || flags != VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC)
        abort(); /* never */
    DOMAIN_CALL("BlockJobAbort", {
        if (volume.course == MERGE_STALLS)
            end_volume_job(false, VIR_DOMAIN_BLOCK_JOB_CANCELED);
        if (volume.course == MERGE_COMPLETES_WHEN_ENDED)
            end_volume_job(true, VIR_DOMAIN_BLOCK_JOB_COMPLETED);
    });
    return volume.course == MERGE_STALLS_FOR_GOOD
               ? refuse("BlockJobAbort", VIR_ERR_OPERATION_FAILED)
               : 0;
}

static int pull_volume(const char *disk, const char *base, unsigned flags)
{
    if (strcmp(disk, "vdb") != 0)
        abort();
    (void)snprintf(volume.base, sizeof(volume.base), "%s", base ? base : "(null)");
    volume.flags = flags;
    size_t end = base ? layer_place(base) : volume.count;
    DOMAIN_CALL("BlockRebase", begin_merge(VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, 1, end));
    return 0;
}

int __wrap_virDomainBlockCommit(virDomainPtr domain, const char *disk, const char *base,
                                const char *top, unsigned long bandwidth, unsigned flags);
int __wrap_virDomainBlockCommit(virDomainPtr domain, const char *disk, const char *base,
                                const char *top, unsigned long bandwidth, unsigned flags)
{
    (void)domain;
    if (strcmp(disk, "vdb") != 0 || bandwidth != 0)
        abort();
    (void)snprintf(volume.top, sizeof(volume.top), "%s", top);
    (void)snprintf(volume.base, sizeof(volume.base), "%s", base);
    volume.flags = flags;
    DOMAIN_CALL("BlockCommit",
                begin_merge(VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT, layer_place(top), layer_place(base)));
    return 0;
}

/* The file in the <source> becomes the first layer. */
static void put_on_top(const char *xml)
{
    static char name[64];
    char needle[300];
    const char *source = strstr(xml, "<source file=\"");
    (void)snprintf(needle, sizeof(needle), "%s", temp_path(""));
    const char *start = source ? strstr(source, needle) : NULL;
    if (!start)
        abort();
    start += strlen(needle);
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(start, "\""), start);
    for (size_t i = volume.count; i > 0; i--) {
        volume.layers[i] = volume.layers[i - 1];
        volume.formats[i] = volume.formats[i - 1];
    }
    volume.layers[0] = name;
    volume.formats[0] = "qcow2";
    volume.count++;
}

virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags);
virDomainSnapshotPtr __wrap_virDomainSnapshotCreateXML(virDomainPtr domain, const char *xml,
                                                       unsigned flags)
{
    static char snapshot;
    bool acts;
    (void)domain;
    bool failing = fails("SnapshotCreateXML", &acts);
    (void)snprintf(volume.snapshot_xml, sizeof(volume.snapshot_xml), "%s", xml);
    volume.flags = flags;
    if (acts)
        put_on_top(xml);
    return failing ? NULL : (virDomainSnapshotPtr)&snapshot;
}

int __wrap_virDomainSnapshotFree(virDomainSnapshotPtr snapshot);
int __wrap_virDomainSnapshotFree(virDomainSnapshotPtr snapshot)
{
    (void)snapshot;
    return 0;
}

static void volume_reset(void)
{
    static const char *const names[] = {"vol.b", "vol.a", "vol"};
    world_reset();
    memset(&volume, 0, sizeof(volume));
    volume_has(3, names);
    world.make_xml = volume_xml;
    world.rebase = pull_volume;
    world.read_job = read_volume_job;
    world.abort_job = abort_volume_job;
}

static int volume_group_set_up(void **state)
{
    struct error err = ERROR_INIT;
    if (temp_folder_make(state) || domain_watches_new(&world.watches, &err) < 0)
        return -1;
    make_volume();
    return 0;
}

static int volume_group_tear_down(void **state)
{
    domain_watches_free(world.watches);
    return temp_folder_remove(state);
}
