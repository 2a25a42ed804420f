/* SPDX-License-Identifier: Apache-2.0 */
/* See backup_job.h. */
#include "driver/block/backup_job.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "driver/definition/xml_node.h"
#include "driver/driver.h"
#include "driver/libvirt/connection.h"

#define END_TIMEOUT_MS 30000
#define LOOK_MS 20

int backup_job_check_idle(virDomainPtr domain, struct error *err)
{
    virDomainJobInfo info = {0};
    if (virDomainGetJobInfo(domain, &info) < 0)
        return libvirt_error(err, "cannot read whether the domain has a job");
    if (info.type == VIR_DOMAIN_JOB_NONE)
        return 0;
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "the domain has another job (type %d)",
                     info.type);
}

static void describe_disk(xmlNode *disks, const char *target, const char *scratch_path)
{
    xmlNode *disk = xml_node_add_child(disks, "disk");
    xml_node_set_attribute(disk, "name", target);
    xml_node_set_attribute(disk, "backup", "yes");
    xml_node_set_attribute(disk, "type", "file");
    xml_node_set_attribute(disk, "exportname", target);
    xml_node_set_attribute(xml_node_add_child(disk, "driver"), "type", "qcow2");
    xml_node_set_attribute(xml_node_add_child(disk, "scratch"), "file", scratch_path);
}

/* Disks that are not listed take no part. Returns owned: xmlFree(). */
static xmlChar *describe_job(const struct backup_job *job)
{
    xmlChar *text = NULL;
    int size = 0;
    cleanup_xml_document xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *root = xmlNewNode(NULL, (const xmlChar *)"domainbackup");
    (void)xmlDocSetRootElement(document, root);
    xml_node_set_attribute(root, "mode", "pull");
    xmlNode *server = xml_node_add_child(root, "server");
    xml_node_set_attribute(server, "transport", "unix");
    xml_node_set_attribute(server, "socket", job->socket_path);
    if (job->incremental)
        xmlNodeAddContent(xml_node_add_child(root, "incremental"),
                          (const xmlChar *)job->incremental);
    xmlNode *disks = xml_node_add_child(root, "disks");
    describe_disk(disks, job->disk_target, job->scratch_path);
    for (size_t i = 0; i < job->n_others; i++)
        describe_disk(disks, job->others[i].target, job->others[i].scratch_path);
    xmlDocDumpMemory(document, &text, &size);
    return text;
}

int backup_job_begin(struct backup_job *job, virDomainPtr domain, struct error *err)
{
    xmlChar *xml = describe_job(job);
    if (!xml)
        return error_nomem(err);
    job->running = job->may_come = true; /* also when the answer is lost */
    int r = virDomainBackupBegin(domain, (const char *)xml, job->checkpoint_xml,
                                 VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL);
    xmlFree(xml);
    if (r < 0)
        return libvirt_error(err, "cannot begin a backup job on disk %s", job->disk_target);
    log_debug("backup job: disk %s is shown at %s, scratch file %s", job->disk_target,
              job->socket_path, job->scratch_path);
    job->may_come = false;
    return 0;
}

int backup_job_visit_scratch(virDomainPtr domain,
                             void (*visit)(void *arg, const char *disk_target, const char *path),
                             void *arg, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = virDomainBackupGetXMLDesc(domain, 0);
    if (!xml && (virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_BACKUP ||
                 virGetLastErrorCode() == VIR_ERR_NO_SUPPORT))
        return 0;
    if (!xml)
        return libvirt_error(err, "cannot read the backup job of the domain");
    int r = xml_node_parse(xml, "domainbackup", &document, err);
    if (r < 0)
        return r;
    xmlNode *disks = xml_node_child_named(xmlDocGetRootElement(document), "disks");
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        char target[DRIVER_FORMAT_MAX], path[DRIVER_PATH_MAX];
        if (xml_node_copy_attribute(disk, "name", target, sizeof(target)) &&
            xml_node_copy_attribute(xml_node_child_named(disk, "scratch"), "file", path,
                                    sizeof(path)))
            visit(arg, target, path);
    }
    return 0;
}

struct search {
    const char *scratch_path;
    bool found;
};

static void compare_scratch(void *arg, const char *disk_target, const char *path)
{
    struct search *search = arg;
    (void)disk_target;
    search->found = search->found || strcmp(path, search->scratch_path) == 0;
}

static int find_job(const struct backup_job *job, virDomainPtr domain, bool *ret_there,
                    struct error *err)
{
    struct search search = {.scratch_path = job->scratch_path};
    int r = backup_job_visit_scratch(domain, compare_scratch, &search, err);
    *ret_there = r == 0 && search.found;
    return r;
}

/* Looks until the job is gone: not every libvirt sends an event for the end of a backup job. */
static int await_job_end(const struct backup_job *job, virDomainPtr domain, struct error *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    uint64_t deadline_ms = clock_now_ms() + END_TIMEOUT_MS;
    bool there = true;
    for (;;) {
        int r = find_job(job, domain, &there, err);
        if (r < 0)
            return r;
        if (!there) {
            log_debug("backup job: the one on disk %s is gone", job->disk_target);
            return 0;
        }
        if (clock_now_ms() >= deadline_ms)
            return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                             "the backup job on disk %s did not end", job->disk_target);
        (void)nanosleep(&pause, NULL);
    }
}

static int end_job(const struct backup_job *job, virDomainPtr domain, struct error *err)
{
    bool there = false;
    int r = find_job(job, domain, &there, err);
    if (r < 0 || !there)
        return r;
    log_debug("backup job: ends the one on disk %s", job->disk_target);
    if (virDomainAbortJob(domain) < 0)
        return libvirt_error(err, "cannot end the backup job on disk %s", job->disk_target);
    return await_job_end(job, domain, err);
}

int backup_job_undo(struct backup_job *job, virDomainPtr domain, struct error *err)
{
    if (!job->running)
        return 0;
    int r = end_job(job, domain, err);
    if (r < 0)
        return r;
    if (job->may_come) {
        log_debug(
            "backup job: the request for disk %s may yet be carried out, its scratch file goes",
            job->disk_target);
        if (unlink(job->scratch_path) < 0 && errno != ENOENT)
            return error_errno(err, errno, "cannot remove %s", job->scratch_path);
        r = end_job(job, domain, err); /* it may have come since */
        if (r < 0)
            return r;
    }
    job->running = job->may_come = false;
    return 0;
}
