/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libvirt of our own for the tests of the snapshot's order and rollback: one domain whose state
 * the wrapped calls change, with every call logged and any of them made to fail, either before it
 * has an effect or after ("the answer was lost").
 *
 * Included by one test program each: every call in it goes to the __wrap_ function here.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "driver/image/image_stream.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/domain_watch.h"
#include "driver/libvirt_driver_private.h"
#include "tests/unit/canceller.h"
#include "tests/unit/driver/temp_folder.h"

#define UUID "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"
#define DEFINITION "<domain><secret/><devices/></domain>"
#define CALLS_MAX 128
#define DEVICES 3

enum copy_course { COPY_READY, COPY_FAILS, COPY_STALLS, COPY_VANISHES, GUEST_ENDS, GUEST_DELETED };

static struct {
    /* the domain */
    bool exists, persistent, active, saved, autostart, frozen, mirror, backup;
    int state; /* virDomainState */
    int id;    /* of this run; a guest that is not active has none */
    int saved_state;
    char mirror_path[DRIVER_PATH_MAX];
    char scratch_path[DRIVER_PATH_MAX]; /* of the backup */
    char definition[512];
    int checkpoints, snapshots;
    const char *volume; /* another disk's element, as the guest has it now */
    bool attached[DEVICES];
    int agent_timeout_s;
    /* the script */
    enum copy_course course;
    bool foreign_job;
    const char *late_copy;    /* begins after the next look at the domain: its asker is dead */
    bool connection_lost;     /* until the domain is looked up again */
    bool reopens_behind_save; /* the connection breaks, and the next lookup comes with another */
    unsigned connections;     /* that were opened before */
    bool frozen_by_other;     /* the agent refuses all but a thaw */
    bool freezes_nothing;     /* it says it has, and has not */
    bool has_nothing;         /* to freeze, and says so */
    bool thaws_nothing;
    bool answers_frozen; /* it tells its time all the same */
    int thaw_failures;   /* so many thaws fail before one succeeds */
    int pause_reason;    /* virDomainPausedReason */
    int save_lasts;      /* so many looks at the job of a save whose client is gone; -1: for good */
    bool save_is_good;
    bool device_stays;        /* unplugging has no effect */
    unsigned labels;          /* how many security labels; the last one names the user */
    bool normalises;          /* libvirt makes something else of a definition */
    const char *refused_text; /* it takes none that has this in it */
    int fail_index;           /* this call of all fails; -1 = none */
    const char *fail_name;    /* every call of this name fails, */
    int fail_from;            /* from this call of all on */
    bool fail_with_effect;
    int fail_code;
    int die_index; /* this call of all is never made: die() ends the process; -1 = none */
    void (*die)(void);
    int event_index; /* before this call of all something happens; -1 = nothing */
    void (*event)(void);
    struct canceller *canceller; /* when the call of cancel_index is made; may be NULL */
    int cancel_index;
    uint64_t image_bytes, layer_bytes; /* as qemu-img measures them */
    /* a test of other disks and block jobs than the root disk's copy brings them itself */
    char *(*make_xml)(void);
    int (*rebase)(const char *disk, const char *base, unsigned flags);
    int (*read_job)(virDomainBlockJobInfoPtr info);
    int (*abort_job)(unsigned flags);
    uint64_t limit_bytes_per_s; /* what a copy has to be limited to */
    /* what happened */
    const char *calls[CALLS_MAX];
    int call_count;
    char source_path[DRIVER_PATH_MAX]; /* of the last conversion */
    char source_format[DRIVER_FORMAT_MAX];
    bool source_shared;
    uint64_t source_bytes_per_s;
    bool limited;                 /* the copy, at present */
    uint64_t changed_bytes_per_s; /* what its limit became at last, but for none */
    virError error;
    char error_message[64];
    struct domain_watches *watches;
} world;

static void world_reset(void)
{
    struct domain_watches *watches = world.watches;
    memset(&world, 0, sizeof(world));
    world.watches = watches;
    world.exists = world.persistent = world.active = world.autostart = true;
    world.state = VIR_DOMAIN_RUNNING;
    world.id = 7;
    world.agent_timeout_s = VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK;
    world.fail_index = world.die_index = world.event_index = -1;
    world.fail_code = VIR_ERR_INTERNAL_ERROR;
    (void)snprintf(world.definition, sizeof(world.definition), DEFINITION);
}

static bool fail_with(const char *name, int code)
{
    (void)snprintf(world.error_message, sizeof(world.error_message), "injected in %s", name);
    world.error = (virError){.code = code, .message = world.error_message};
    return true;
}

static int refuse(const char *name, int code)
{
    (void)fail_with(name, code);
    return -1;
}

/* Logs a call and tells whether it has to fail; then *ret_effect whether it acts all the same. */
static bool fails(const char *name, bool *ret_effect)
{
    int index = world.call_count;
    if (index == world.die_index)
        world.die();
    if (index == world.event_index)
        world.event();
    if (world.canceller && index == world.cancel_index)
        canceller_request(world.canceller);
    if (index < CALLS_MAX)
        world.calls[world.call_count++] = name;
    bool failing = index == world.fail_index || (world.fail_name && index >= world.fail_from &&
                                                 strcmp(world.fail_name, name) == 0);
    *ret_effect = !failing || world.fail_with_effect;
    return failing && fail_with(name, world.fail_code);
}

static inline bool was_called(const char *name)
{
    for (int i = 0; i < world.call_count; i++)
        if (strcmp(world.calls[i], name) == 0)
            return true;
    return false;
}

/* The place of a call in the log, -1 when it was not made. */
static inline int place_of(const char *name)
{
    for (int i = 0; i < world.call_count; i++)
        if (strcmp(world.calls[i], name) == 0)
            return i;
    return -1;
}

static inline int times_called(const char *name)
{
    int times = 0;
    for (int i = 0; i < world.call_count; i++)
        times += strcmp(world.calls[i], name) == 0;
    return times;
}

static inline int last_place_of(const char *name)
{
    int i = world.call_count - 1;
    while (i >= 0 && strcmp(world.calls[i], name) != 0)
        i--;
    return i;
}

static virDomainPtr the_domain(void)
{
    static char domain;
    return (virDomainPtr)&domain;
}

static virConnectPtr the_conn(void)
{
    static char conn;
    return (virConnectPtr)&conn;
}

/* A call on the domain: fails when it is gone. `effect` runs unless a failure prevents it. */
#define DOMAIN_CALL(name, effect)                                                                  \
    do {                                                                                           \
        bool acts_ = false;                                                                        \
        bool failing_ = fails(name, &acts_);                                                       \
        if (!world.exists)                                                                         \
            return refuse(name, VIR_ERR_NO_DOMAIN);                                                \
        if (acts_) {                                                                               \
            effect;                                                                                \
        }                                                                                          \
        if (failing_)                                                                              \
            return -1;                                                                             \
    } while (0)

const virError *__wrap_virGetLastError(void);
const virError *__wrap_virGetLastError(void)
{
    return &world.error;
}

int __wrap_virGetLastErrorCode(void);
int __wrap_virGetLastErrorCode(void)
{
    return world.error.code;
}

/* Stands for the connection. */
int __wrap_libvirt_connection_get(struct libvirt_connection *connection, unsigned patience_ms,
                                  virConnectPtr *ret_conn, struct error *err);
int __wrap_libvirt_connection_get(struct libvirt_connection *connection, unsigned patience_ms,
                                  virConnectPtr *ret_conn, struct error *err)
{
    bool acts;
    (void)connection;
    (void)patience_ms;
    if (fails("get_connection", &acts))
        return libvirt_error(err, "cannot connect");
    *ret_conn = the_conn();
    return 0;
}

int __wrap_libvirt_connection_find_domain(struct libvirt_connection *connection, const char *uuid,
                                          unsigned patience_ms, const char *exc_missing,
                                          virDomainPtr *ret_domain, struct error *err);
int __wrap_libvirt_connection_find_domain(struct libvirt_connection *connection, const char *uuid,
                                          unsigned patience_ms, const char *exc_missing,
                                          virDomainPtr *ret_domain, struct error *err)
{
    bool acts;
    (void)connection;
    (void)patience_ms;
    if (fails("find_domain", &acts))
        return libvirt_error(err, "cannot look up");
    world.connection_lost = false;
    if (world.reopens_behind_save && world.saved) {
        world.reopens_behind_save = false;
        world.connections++;
        domain_watches_disconnected(world.watches);
    }
    if (!world.exists)
        return error_set(err, 2, exc_missing, "Instance %s has no libvirt domain", uuid);
    *ret_domain = the_domain();
    return 0;
}

int __wrap_libvirt_connection_watch(struct libvirt_connection *connection, const char *uuid,
                                    const char *disk_target, unsigned patience_ms,
                                    struct domain_watch **ret_watch, struct error *err);
int __wrap_libvirt_connection_watch(struct libvirt_connection *connection, const char *uuid,
                                    const char *disk_target, unsigned patience_ms,
                                    struct domain_watch **ret_watch, struct error *err)
{
    bool acts;
    (void)connection;
    (void)patience_ms;
    if (fails("watch", &acts))
        return libvirt_error(err, "cannot watch");
    return domain_watch_new(world.watches, uuid, disk_target, ret_watch, err);
}

int __wrap_virConnectClose(virConnectPtr conn);
int __wrap_virConnectClose(virConnectPtr conn)
{
    (void)conn;
    return 0;
}

bool __wrap_libvirt_connection_is_lost(struct libvirt_connection *connection, virDomainPtr domain);
bool __wrap_libvirt_connection_is_lost(struct libvirt_connection *connection, virDomainPtr domain)
{
    (void)connection;
    (void)domain;
    world.error = (virError){0}; /* as every call of libvirt does */
    return world.connection_lost;
}

unsigned __wrap_libvirt_connection_number(struct libvirt_connection *connection);
unsigned __wrap_libvirt_connection_number(struct libvirt_connection *connection)
{
    (void)connection;
    return world.connections;
}

virConnectPtr __wrap_virDomainGetConnect(virDomainPtr domain);
virConnectPtr __wrap_virDomainGetConnect(virDomainPtr domain)
{
    (void)domain;
    return the_conn();
}

int __wrap_virDomainFree(virDomainPtr domain);
int __wrap_virDomainFree(virDomainPtr domain)
{
    (void)domain;
    return 0;
}

/* Reading the domain. */
int __wrap_virDomainGetSecurityLabelList(virDomainPtr domain, virSecurityLabelPtr *labels);
int __wrap_virDomainGetSecurityLabelList(virDomainPtr domain, virSecurityLabelPtr *labels)
{
    (void)domain;
    DOMAIN_CALL("GetSecurityLabelList", (void)0);
    *labels = calloc(world.labels + 1, sizeof(**labels));
    if (world.labels > 0)
        (void)snprintf((*labels)[world.labels - 1].label, VIR_SECURITY_LABEL_BUFLEN, "+%u:+%u",
                       geteuid(), getegid());
    return (int)world.labels;
}

int __wrap_virDomainIsActive(virDomainPtr domain);
int __wrap_virDomainIsActive(virDomainPtr domain)
{
    (void)domain;
    DOMAIN_CALL("IsActive", (void)0);
    return world.active;
}

unsigned __wrap_virDomainGetID(virDomainPtr domain);
unsigned __wrap_virDomainGetID(virDomainPtr domain)
{
    (void)domain;
    return (unsigned)(world.active ? world.id : -1);
}

int __wrap_virDomainIsPersistent(virDomainPtr domain);
int __wrap_virDomainIsPersistent(virDomainPtr domain)
{
    (void)domain;
    DOMAIN_CALL("IsPersistent", (void)0);
    return world.persistent;
}

int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags);
int __wrap_virDomainGetState(virDomainPtr domain, int *state, int *reason, unsigned flags)
{
    (void)domain;
    (void)flags;
    DOMAIN_CALL("GetState", (void)0);
    if (reason)
        *reason = world.pause_reason;
    *state = world.state;
    return 0;
}

static void tell_job(int status)
{
    domain_watches_block_job(world.watches, UUID, "vda", status);
}

static void end_guest(void)
{
    world.active = world.mirror = world.backup = world.frozen = false;
    world.state = VIR_DOMAIN_SHUTOFF;
    world.exists = world.persistent;
    domain_watches_stopped(world.watches, UUID);
}

static void begin_copy(const char *path)
{
    world.mirror = true;
    (void)snprintf(world.mirror_path, sizeof(world.mirror_path), "%s", path);
    switch (world.course) {
    case COPY_READY:
        tell_job(VIR_DOMAIN_BLOCK_JOB_READY);
        break;
    case COPY_FAILS:
        world.mirror = false;
        tell_job(VIR_DOMAIN_BLOCK_JOB_FAILED);
        break;
    case COPY_VANISHES:
        world.mirror = false;
        break;
    case GUEST_ENDS:
        end_guest();
        break;
    case GUEST_DELETED:
        end_guest();
        (void)unlink(temp_path("disk"));
        break;
    case COPY_STALLS:
        break;
    }
}

/* A stopped domain's definition has all its devices. */
static char *current_xml(void)
{
    static const char *const devices[DEVICES] = {
        "<hostdev type='pci'><source><address domain='0' bus='6' slot='0' function='1'/></source>"
        "</hostdev>",
        "<interface type='hostdev'><source><address domain='0' bus='6' slot='0' function='2'/>"
        "</source></interface>",
        "<hostdev type='mdev'><source><address uuid='4b20d080'/></source></hostdev>"};
    char *xml = NULL;
    char mirror[DRIVER_PATH_MAX + 64] = "";
    if (world.mirror)
        (void)snprintf(mirror, sizeof(mirror), "<mirror><source file='%s'/></mirror>",
                       world.mirror_path);
    if (asprintf(&xml,
                 "<domain><devices><disk type='file'><driver type='qcow2'/>"
                 "<source file='/i/disk'/>%s<target dev='vda'/></disk>%s%s%s%s</devices></domain>",
                 mirror, world.volume ? world.volume : "",
                 !world.active || world.attached[0] ? devices[0] : "",
                 !world.active || world.attached[1] ? devices[1] : "",
                 !world.active || world.attached[2] ? devices[2] : "") < 0)
        abort();
    return xml;
}

char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags)
{
    bool acts;
    (void)domain;
    if (fails(flags & VIR_DOMAIN_XML_INACTIVE ? "GetXMLDesc-inactive" : "GetXMLDesc", &acts))
        return NULL;
    if (!world.exists) {
        (void)fail_with("GetXMLDesc", VIR_ERR_NO_DOMAIN);
        return NULL;
    }
    if (!(flags & VIR_DOMAIN_XML_INACTIVE)) {
        char *xml = world.make_xml ? world.make_xml() : current_xml();
        if (world.late_copy && !world.persistent)
            begin_copy(world.late_copy);
        world.late_copy = NULL;
        return xml;
    }
    return strdup(flags & VIR_DOMAIN_XML_SECURE ? world.definition : "<domain><devices/></domain>");
}

/* The definition. */
int __wrap_virDomainGetAutostart(virDomainPtr domain, int *autostart);
int __wrap_virDomainGetAutostart(virDomainPtr domain, int *autostart)
{
    (void)domain;
    DOMAIN_CALL("GetAutostart", (void)0);
    *autostart = world.autostart;
    return 0;
}

int __wrap_virDomainSetAutostart(virDomainPtr domain, int autostart);
int __wrap_virDomainSetAutostart(virDomainPtr domain, int autostart)
{
    (void)domain;
    DOMAIN_CALL("SetAutostart", world.autostart = autostart != 0);
    return 0;
}

#if LIBVIR_VERSION_NUMBER >= 8009000
#define UNDEFINE_KEEP_ALL (VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM)
#else
#define UNDEFINE_KEEP_ALL VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
#endif

int __wrap_virDomainUndefineFlags(virDomainPtr domain, unsigned flags);
int __wrap_virDomainUndefineFlags(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    if (flags & (VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_NVRAM))
        abort(); /* never */
    DOMAIN_CALL(flags == UNDEFINE_KEEP_ALL               ? "Undefine-keep-all"
                : flags & VIR_DOMAIN_UNDEFINE_KEEP_NVRAM ? "Undefine-keep-nvram"
                                                         : "Undefine",
                world.persistent = world.autostart = false;
                world.definition[0] = '\0'; world.exists = world.active);
    return 0;
}

int __wrap_virDomainListAllCheckpoints(virDomainPtr domain, virDomainCheckpointPtr **checkpoints,
                                       unsigned flags);
int __wrap_virDomainListAllCheckpoints(virDomainPtr domain, virDomainCheckpointPtr **checkpoints,
                                       unsigned flags)
{
    (void)domain;
    if (checkpoints || flags != 0)
        abort(); /* their number is all that is asked for */
    DOMAIN_CALL("ListAllCheckpoints", (void)0);
    return world.checkpoints;
}

int __wrap_virDomainSnapshotNum(virDomainPtr domain, unsigned flags);
int __wrap_virDomainSnapshotNum(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    (void)flags;
    DOMAIN_CALL("SnapshotNum", (void)0);
    return world.snapshots;
}

virDomainPtr __wrap_virDomainDefineXML(virConnectPtr conn, const char *xml);
virDomainPtr __wrap_virDomainDefineXML(virConnectPtr conn, const char *xml)
{
    bool acts;
    (void)conn;
    bool failing = fails("DefineXML", &acts);
    if (world.refused_text && strstr(xml, world.refused_text)) {
        failing = fail_with("DefineXML", VIR_ERR_CONFIG_UNSUPPORTED);
        acts = false;
    }
    if (acts) {
        world.exists = world.persistent = true;
        (void)snprintf(world.definition, sizeof(world.definition), "%s%s", xml,
                       world.normalises ? "\n" : "");
    }
    return failing ? NULL : the_domain();
}

/* Block jobs. */
int __wrap_virDomainBlockRebase(virDomainPtr domain, const char *disk, const char *base,
                                unsigned long bandwidth, unsigned flags);
int __wrap_virDomainBlockRebase(virDomainPtr domain, const char *disk, const char *base,
                                unsigned long bandwidth, unsigned flags)
{
    (void)domain;
    if (world.rebase)
        return world.rebase(disk, base, flags);
    unsigned wanted = VIR_DOMAIN_BLOCK_REBASE_COPY | VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT |
                      VIR_DOMAIN_BLOCK_REBASE_SHALLOW |
                      (bandwidth > 0 ? VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES : 0u);
    if (strcmp(disk, "vda") != 0 || bandwidth != world.limit_bytes_per_s || world.persistent ||
        flags != wanted || access(base, F_OK) < 0)
        return refuse("BlockRebase with wrong arguments", VIR_ERR_INVALID_ARG);
    DOMAIN_CALL("BlockRebase", world.limited = bandwidth > 0; begin_copy(base));
    return 0;
}

int __wrap_virDomainBlockJobSetSpeed(virDomainPtr domain, const char *disk, unsigned long bandwidth,
                                     unsigned flags);
int __wrap_virDomainBlockJobSetSpeed(virDomainPtr domain, const char *disk, unsigned long bandwidth,
                                     unsigned flags)
{
    (void)domain;
    unsigned wanted = bandwidth > 0 ? VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES : 0;
    if (strcmp(disk, "vda") != 0 || (flags & wanted) != wanted)
        abort();
    DOMAIN_CALL("BlockJobSetSpeed", world.limited = bandwidth > 0;
                if (bandwidth > 0) world.changed_bytes_per_s = bandwidth);
    return 0;
}

int __wrap_virDomainGetBlockJobInfo(virDomainPtr domain, const char *disk,
                                    virDomainBlockJobInfoPtr info, unsigned flags);
int __wrap_virDomainGetBlockJobInfo(virDomainPtr domain, const char *disk,
                                    virDomainBlockJobInfoPtr info, unsigned flags)
{
    (void)domain;
    (void)disk;
    (void)flags;
    DOMAIN_CALL("GetBlockJobInfo", (void)0);
    if (world.read_job)
        return world.read_job(info);
    info->cur = 1;
    info->end = 2;
    return world.mirror || world.foreign_job;
}

int __wrap_virDomainBlockJobAbort(virDomainPtr domain, const char *disk, unsigned flags);
int __wrap_virDomainBlockJobAbort(virDomainPtr domain, const char *disk, unsigned flags)
{
    (void)domain;
    if (world.abort_job)
        return world.abort_job(flags);
    if (strcmp(disk, "vda") != 0 || flags != 0 || world.foreign_job)
        abort(); /* never */
    bool had_job = world.mirror;
    DOMAIN_CALL(
        "BlockJobAbort", if (had_job) {
            world.mirror = false;
            tell_job(VIR_DOMAIN_BLOCK_JOB_CANCELED);
        });
    return had_job ? 0 : refuse("BlockJobAbort without a job", VIR_ERR_INVALID_ARG);
}

/* The guest agent. */
int __wrap_virDomainAgentSetResponseTimeout(virDomainPtr domain, int timeout, unsigned flags);
int __wrap_virDomainAgentSetResponseTimeout(virDomainPtr domain, int timeout, unsigned flags)
{
    (void)domain;
    (void)flags;
    DOMAIN_CALL("AgentSetResponseTimeout", world.agent_timeout_s = timeout);
    return 0;
}

int __wrap_virDomainGetTime(virDomainPtr domain, long long *seconds, unsigned *nseconds,
                            unsigned flags);
int __wrap_virDomainGetTime(virDomainPtr domain, long long *seconds, unsigned *nseconds,
                            unsigned flags)
{
    (void)domain;
    (void)flags;
    DOMAIN_CALL("GetTime", *seconds = 1; *nseconds = 0);
    bool refuses = world.frozen_by_other || (world.frozen && !world.answers_frozen);
    return refuses ? refuse("GetTime", VIR_ERR_INTERNAL_ERROR) : 0;
}

int __wrap_virDomainFSFreeze(virDomainPtr domain, const char **mountpoints, unsigned count,
                             unsigned flags);
int __wrap_virDomainFSFreeze(virDomainPtr domain, const char **mountpoints, unsigned count,
                             unsigned flags)
{
    (void)domain;
    (void)mountpoints;
    (void)count;
    (void)flags;
    if (world.agent_timeout_s <= 0)
        abort(); /* a freeze without a time limit: never */
    DOMAIN_CALL("FSFreeze", world.frozen = !world.frozen_by_other && !world.freezes_nothing &&
                                           !world.has_nothing);
    return world.frozen_by_other ? refuse("FSFreeze", VIR_ERR_INTERNAL_ERROR) : !world.has_nothing;
}

int __wrap_virDomainFSThaw(virDomainPtr domain, const char **mountpoints, unsigned count,
                           unsigned flags);
int __wrap_virDomainFSThaw(virDomainPtr domain, const char **mountpoints, unsigned count,
                           unsigned flags)
{
    (void)domain;
    (void)mountpoints;
    (void)count;
    (void)flags;
    bool thaws = !world.thaws_nothing && world.thaw_failures == 0;
    DOMAIN_CALL("FSThaw", world.frozen = world.frozen && !thaws);
    if (world.thaw_failures > 0 && world.thaw_failures--)
        return refuse("FSThaw", VIR_ERR_INTERNAL_ERROR);
    return 1;
}

/* Managed save. */
int __wrap_virDomainManagedSave(virDomainPtr domain, unsigned flags);
int __wrap_virDomainManagedSave(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    (void)flags;
    for (size_t i = 0; i < DEVICES; i++)
        if (world.attached[i])
            return refuse("ManagedSave with host devices", VIR_ERR_OPERATION_INVALID);
    DOMAIN_CALL("ManagedSave", world.saved_state = world.state; world.saved = true;
                world.active = false; world.state = VIR_DOMAIN_SHUTOFF);
    return 0;
}

static void end_foreign_save(void)
{
    if (!world.save_is_good)
        return;
    world.saved_state = world.state;
    world.saved = true;
    world.active = false;
    world.state = VIR_DOMAIN_SHUTOFF;
}

int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *nparams, unsigned flags);
int __wrap_virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params,
                                int *nparams, unsigned flags)
{
    int max = 0;
    (void)domain;
    (void)flags;
    DOMAIN_CALL("GetJobStats", (void)0);
    if (!world.active)
        return refuse("GetJobStats", VIR_ERR_OPERATION_INVALID);
    *type = world.save_lasts != 0 ? VIR_DOMAIN_JOB_UNBOUNDED : VIR_DOMAIN_JOB_NONE;
    if (world.save_lasts == 0)
        return 0;
    if (world.save_lasts > 0 && --world.save_lasts == 0)
        end_foreign_save();
    (void)virTypedParamsAddULLong(params, nparams, &max, VIR_DOMAIN_JOB_TIME_ELAPSED, 0);
    return virTypedParamsAddInt(params, nparams, &max, VIR_DOMAIN_JOB_OPERATION,
                                VIR_DOMAIN_JOB_OPERATION_SAVE);
}

int __wrap_virDomainAbortJob(virDomainPtr domain);
int __wrap_virDomainAbortJob(virDomainPtr domain)
{
    (void)domain;
    DOMAIN_CALL("AbortJob", world.save_lasts = 0; world.backup = false);
    return 0;
}

int __wrap_virDomainHasManagedSaveImage(virDomainPtr domain, unsigned flags);
int __wrap_virDomainHasManagedSaveImage(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    (void)flags;
    DOMAIN_CALL("HasManagedSaveImage", (void)0);
    return world.saved;
}

int __wrap_virDomainCreateWithFlags(virDomainPtr domain, unsigned flags);
int __wrap_virDomainCreateWithFlags(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    if (flags != 0)
        abort(); /* the saved state counts */
    DOMAIN_CALL("CreateWithFlags", world.saved = false; world.active = true; world.id++;
                world.state = world.saved_state; domain_watches_started(world.watches, UUID));
    return 0;
}

int __wrap_virDomainSuspend(virDomainPtr domain);
int __wrap_virDomainSuspend(virDomainPtr domain)
{
    (void)domain;
    DOMAIN_CALL("Suspend", world.state = VIR_DOMAIN_PAUSED);
    return 0;
}

int __wrap_virDomainResume(virDomainPtr domain);
int __wrap_virDomainResume(virDomainPtr domain)
{
    (void)domain;
    DOMAIN_CALL("Resume", world.state = VIR_DOMAIN_RUNNING);
    return 0;
}

static size_t device_of(const char *xml)
{
    return strstr(xml, "mdev") ? 2 : strstr(xml, "<interface") ? 1 : 0;
}

int __wrap_virDomainDetachDeviceFlags(virDomainPtr domain, const char *xml, unsigned flags);
int __wrap_virDomainDetachDeviceFlags(virDomainPtr domain, const char *xml, unsigned flags)
{
    (void)domain;
    if (flags != VIR_DOMAIN_AFFECT_LIVE)
        abort(); /* the definition keeps its devices */
    DOMAIN_CALL(
        "DetachDeviceFlags", if (!world.device_stays) {
            world.attached[device_of(xml)] = false;
            domain_watches_device_removed(world.watches, UUID);
        });
    return 0;
}

int __wrap_virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned flags);
int __wrap_virDomainAttachDeviceFlags(virDomainPtr domain, const char *xml, unsigned flags)
{
    (void)domain;
    if (flags != VIR_DOMAIN_AFFECT_LIVE || world.attached[device_of(xml)] || !world.active)
        abort();
    DOMAIN_CALL("AttachDeviceFlags", world.attached[device_of(xml)] = true);
    return 0;
}

/* qemu-img */
static int write_file(const char *path, struct error *err)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return error_errno(err, 5, "cannot write %s", path);
    (void)fputs("image", file);
    (void)fclose(file);
    return 0;
}

int __wrap_qemu_img_measure(const char *path, const char *format, uint64_t *ret_bytes,
                            struct error *err);
int __wrap_qemu_img_measure(const char *path, const char *format, uint64_t *ret_bytes,
                            struct error *err)
{
    bool acts;
    (void)path;
    (void)format;
    if (fails("qemu-img measure", &acts))
        return error_set(err, 5, EXC_INVALID_DISK_INFO, "injected in qemu-img measure");
    *ret_bytes = world.image_bytes;
    return 0;
}

int __wrap_qemu_img_measure_layer(const char *path, const char *format, uint64_t cluster_size_bytes,
                                  uint64_t *ret_bytes, struct error *err);
int __wrap_qemu_img_measure_layer(const char *path, const char *format, uint64_t cluster_size_bytes,
                                  uint64_t *ret_bytes, struct error *err)
{
    (void)path;
    (void)format;
    (void)cluster_size_bytes;
    (void)err;
    *ret_bytes = world.layer_bytes;
    return 0;
}

int __wrap_qemu_img_create_overlay(const struct qemu_img_overlay *overlay, struct error *err);
int __wrap_qemu_img_create_overlay(const struct qemu_img_overlay *overlay, struct error *err)
{
    bool acts;
    bool failing = fails("qemu-img create", &acts);
    if (acts && write_file(overlay->path, err) < 0)
        return -5;
    return failing ? error_set(err, 5, EXC_PROCESS_EXECUTION_ERROR, "injected in qemu-img create")
                   : 0;
}

int __wrap_qemu_img_convert(const struct qemu_img_conversion *conversion, struct error *err);
int __wrap_qemu_img_convert(const struct qemu_img_conversion *conversion, struct error *err)
{
    bool acts;
    bool failing = fails("qemu-img convert", &acts);
    (void)snprintf(world.source_path, sizeof(world.source_path), "%s", conversion->source_path);
    (void)snprintf(world.source_format, sizeof(world.source_format), "%s",
                   conversion->source_format);
    world.source_shared = conversion->force_share;
    world.source_bytes_per_s = conversion->bytes_per_s;
    if (acts && write_file(conversion->target_path, err) < 0)
        return -5;
    return failing ? error_set(err, 5, EXC_IMAGE_UNACCEPTABLE, "injected in qemu-img convert") : 0;
}

/* The image is the disk itself: an overlay of ours, or the stopped guest's. */
int __wrap_image_stream_of_disk(const struct image_stream_disk *disk, const char *format,
                                struct image_source **ret_source, struct error *err);
int __wrap_image_stream_of_disk(const struct image_stream_disk *disk, const char *format,
                                struct image_source **ret_source, struct error *err)
{
    bool acts;
    (void)format;
    bool failing = fails("stream file", &acts);
    if (strcmp(disk->format, "qcow2") != 0 && strcmp(disk->format, "raw") != 0)
        abort();
    if (failing)
        return error_set(err, 5, EXC_INTERNAL_ERROR, "injected in stream file");
    return image_source_open_file(disk->path, ret_source, err);
}
