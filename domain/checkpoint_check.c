/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_check.h. */
#include "domain/checkpoint_check.h"

#include <errno.h>
#include <inttypes.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/cleanup.h"
#include "driver/block/block_job.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"

static int refuse(struct error *err, const char *why)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s", why);
}

/* libvirt refuses those of all domains with such a firmware, whether they run or not. */
static bool has_pflash(const xmlNode *devices)
{
    const xmlNode *os = xml_node_child_named(devices->parent, "os");
    return xml_node_attribute_is(os, "firmware", "efi") || xml_node_child_named(os, "nvram") ||
           xml_node_attribute_is(xml_node_child_named(os, "loader"), "type", "pflash");
}

static int check_host_devices(const char *domain_xml, struct error *err)
{
    struct domain_description *description = NULL;
    int r = domain_description_parse(domain_xml, &description, err);
    if (r == 0 && description->device_count > 0)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "the guest has the host's device %s, whose state cannot be kept: detach it, "
                      "or leave memory out with --disk-only",
                      description->devices[0].id);
    domain_description_free(description);
    return r;
}

int checkpoint_check_devices(const char *domain_xml, bool is_internal, bool has_memory,
                             struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(domain_xml, &document, &devices, err);
    if (r < 0)
        return r;
    if (is_internal && has_pflash(devices))
        return refuse(err, "its firmware keeps variables in a file that libvirt takes no internal "
                           "checkpoint of (UEFI): make it without --internal, with --force");
    if (has_memory && xml_node_child_named(devices, "tpm"))
        return refuse(err, "the guest has a TPM, whose keys would not be those of its memory after "
                           "a way back: leave memory out with --disk-only --force");
    return has_memory ? check_host_devices(domain_xml, err) : 0;
}

int checkpoint_check_next_start(const char *domain_xml, const struct checkpoint_plan *plan,
                                struct error *err)
{
    struct domain_description *next = NULL;
    int r = domain_description_parse(domain_xml, &next, err);
    for (size_t i = 0; r == 0 && i < plan->disk_count; i++) {
        const struct checkpoint_disk *disk = &plan->disks[i];
        const struct domain_disk *then = domain_description_disk(next, disk->target);
        if (!then || !then->layers || strcmp(then->layers[0].path, disk->base) != 0)
            r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                          "disk %s: the running guest alone has it at %s: the domain's next start "
                          "would go on without its new layer, and all that was written since; the "
                          "next start has to have "
                          "it there, too, as by attaching it with --config",
                          disk->target, disk->base);
    }
    domain_description_free(next);
    return r;
}

/* libvirt gives the new layers to the next start as well, if that has the same disks. */
static int check_next_start(virDomainPtr domain, const struct checkpoint_plan *plan,
                            struct error *err)
{
    int persistent = virDomainIsPersistent(domain);
    if (persistent < 0)
        return libvirt_error(err, "cannot read whether the domain is transient");
    if (persistent == 0)
        return refuse(err,
                      "the domain is transient: whoever starts it again would have it go on "
                      "without its new layers, and all that was written since; `virsh define` it");
    cleanup_free char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
    return xml ? checkpoint_check_next_start(xml, plan, err)
               : libvirt_error(err, "cannot read the domain's next start");
}

/* QEMU's jobs on a disk, and those of the whole domain: a backup, a migration, a save. */
static int check_jobs(const struct session *session, const struct checkpoint_plan *plan,
                      struct error *err)
{
    virDomainJobInfo job;
    if (virDomainGetJobInfo(session->domain, &job) < 0)
        return libvirt_error(err, "cannot read whether the domain has a job");
    if (job.type != VIR_DOMAIN_JOB_NONE)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "the domain has a job under way, a backup or a migration: wait for it, or "
                         "end it with `virsh domjobabort`");
    int r = 0;
    for (size_t i = 0; r == 0 && i < plan->disk_count; i++)
        r = block_job_check_idle(session->domain, session->uuid, plan->disks[i].target, err);
    return r;
}

static int check_room(const struct session *session, const struct checkpoint_plan *plan,
                      struct error *err)
{
    char folder[DRIVER_PATH_MAX];
    struct statvfs fs;
    virDomainInfo info;
    const char *slash = strrchr(plan->memory_file, '/');
    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - plan->memory_file) + 1 : 1,
                   slash ? plan->memory_file : ".");
    if (virDomainGetInfo(session->domain, &info) < 0)
        return libvirt_error(err, "cannot read how much memory the guest has");
    if (statvfs(folder, &fs) < 0)
        return error_errno(err, errno, "cannot read the room in %s", folder);
    uint64_t memory_bytes = (uint64_t)info.memory << 10;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return free_bytes >= memory_bytes
               ? 0
               : error_set(err, ENOSPC, EXC_INTERNAL_ERROR,
                           "the guest's memory may take %" PRIu64 " MiB in %s, where %" PRIu64
                           " MiB are free: give --memory-file elsewhere",
                           memory_bytes >> 20, folder, free_bytes >> 20);
}

static int check_at_rest(virDomainPtr domain, const struct checkpoint_plan *plan, struct error *err)
{
    int saved = virDomainHasManagedSaveImage(domain, 0);
    if (saved < 0)
        return libvirt_error(err, "cannot read whether the domain is saved");
    if (saved == 1)
        return refuse(err, "the guest is saved to disk with the memory that belongs to its disks: "
                           "start it first");
    return plan->has_bitmaps
               ? refuse(err, "the domain has checkpoints of increments, which libvirt takes along "
                             "while it runs alone: start it, and remove them with `virsh "
                             "checkpoint-delete` if it is to be made "
                             "at rest")
               : 0;
}

int checkpoint_check_idle(const struct session *session, const struct checkpoint_plan *plan,
                          struct error *err)
{
    return plan->runs ? check_jobs(session, plan, err) : check_at_rest(session->domain, plan, err);
}

/* And that its agent answers: else nobody could tell afterwards whether it was thawed. */
static int check_thawed(const struct session *session, struct error *err)
{
    struct guest_freeze freeze = {.connection = session->driver->connection,
                                  .timeout_s = session->driver->freeze_timeout_s};
    return guest_freeze_need_thawed(&freeze, session->domain, err);
}

static int refuse_dead_end(const struct checkpoint_remarks *remarks, const char *kind,
                           struct error *err)
{
    for (size_t i = 0; i < remarks->count; i++)
        if (remarks->all[i].is_dead_end)
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "%s%s: %s; --force makes it all the same", remarks->all[i].what, kind,
                             remarks->all[i].why);
    return 0;
}

int checkpoint_check_ends(const struct checkpoint_plan *plan, struct error *err)
{
    int r = refuse_dead_end(&plan->cautions, "", err);
    return r < 0 ? r : refuse_dead_end(&plan->omissions, " would not be in it", err);
}

int checkpoint_check(const struct session *session, const struct checkpoint_plan *plan,
                     const struct checkpoint_request *request, struct error *err)
{
    cleanup_free char *xml = NULL;
    int r = libvirt_domain_xml(session->domain, &xml, err);
    if (r == 0)
        r = checkpoint_check_devices(xml, plan->is_internal, plan->has_memory, err);
    if (r == 0)
        r = checkpoint_check_idle(session, plan, err);
    if (r == 0 && plan->has_bitmaps && plan->has_memory && !plan->is_running)
        r = refuse(err, "the guest is paused and has checkpoints of increments: QEMU lets go of "
                        "their bitmaps with the memory, and an increment could lack writes; let it "
                        "run, or leave memory out with --disk-only");
    if (r == 0 && plan->memory_file[0] != '\0')
        r = check_room(session, plan, err);
    if (r == 0 && request->quiesce)
        r = check_thawed(session, err);
    if (r == 0 && plan->runs && !plan->is_internal && !request->force)
        r = check_next_start(session->domain, plan, err);
    return r;
}
