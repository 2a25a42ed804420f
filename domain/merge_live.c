/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_live.h. */
#include "domain/merge_live.h"

#include <errno.h>
#include <time.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/same_file.h"
#include "domain/merge_chain.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

#define LOOK_MS 200

static const char *target_of(const json_t *disk)
{
    const char *target = json_string_member(disk, "target");
    return target ? target : "";
}

/* As libvirt calls the file; NULL: it is no layer of the disk. */
static const char *libvirt_name(const struct domain_disk *disk, const json_t *file)
{
    for (size_t i = 0; disk && i < disk->layer_count; i++)
        if (same_file(disk->layers[i].path, merge_chain_path(file)))
            return disk->layers[i].path;
    return NULL;
}

int merge_live_start(virDomainPtr domain, const json_t *disk, struct error *err)
{
    struct domain_description *description = NULL;
    bool is_top = !json_object_get(disk, "above");
    int r = libvirt_domain_describe(domain, &description, err);
    if (r < 0)
        return r;
    const struct domain_disk *now = domain_description_disk(description, target_of(disk));
    const char *top = libvirt_name(now, json_array_get(json_object_get(disk, "gone"), 0));
    const char *base = libvirt_name(now, json_object_get(disk, "base"));
    if (!top || !base)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s has other layers by now",
                      target_of(disk));
    else if (virDomainBlockCommit(domain, target_of(disk), base, top, 0,
                                  is_top ? VIR_DOMAIN_BLOCK_COMMIT_ACTIVE : 0) < 0)
        r = libvirt_error(err, "libvirt does not merge layers of disk %s", target_of(disk));
    domain_description_free(description);
    failpoint("merge:started");
    return r;
}

struct mirror {
    bool is_ready;
    bool is_base; /* it is what this merge goes into */
};

static int read_mirror(virDomainPtr domain, const json_t *disk, struct mirror *ret_mirror,
                       struct error *err)
{
    cleanup_free char *xml = NULL;
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    char path[DRIVER_PATH_MAX];
    int r = libvirt_domain_xml(domain, &xml, err);
    if (r == 0)
        r = xml_node_parse_domain(xml, &document, &devices, err);
    *ret_mirror = (struct mirror){0};
    for (xmlNode *element = xml_node_child_named(devices, "disk"); r == 0 && element;
         element = xml_node_next_named(element->next, "disk")) {
        const xmlNode *mirror = xml_node_child_named(element, "mirror");
        if (!xml_node_attribute_is(xml_node_child_named(element, "target"), "dev", target_of(disk)))
            continue;
        ret_mirror->is_ready = xml_node_attribute_is(mirror, "ready", "yes");
        ret_mirror->is_base = xml_node_attribute_is(mirror, "job", "active-commit") &&
                              xml_node_copy_attribute(xml_node_child_named(mirror, "source"),
                                                      "file", path, sizeof(path)) &&
                              same_file(path, merge_chain_path(json_object_get(disk, "base")));
    }
    return r;
}

static int check_ready(virDomainPtr domain, const json_t *disk, bool *ret_ready, struct error *err)
{
    struct mirror mirror;
    int r = read_mirror(domain, disk, &mirror, err);
    if (r == 0 && mirror.is_ready && !mirror.is_base)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "disk %s has a commit of somebody else's: end it with `virsh blockjob`",
                         target_of(disk));
    *ret_ready |= r == 0 && mirror.is_ready;
    return r;
}

int merge_live_pivot(virDomainPtr domain, const json_t *disk, struct error *err)
{
    int r = virDomainBlockJobAbort(domain, target_of(disk), VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT);
    if (r < 0)
        r = libvirt_error(err, "libvirt does not let the guest go on on the merged disk %s",
                          target_of(disk));
    failpoint("merge:pivoted");
    return r;
}

struct stall {
    unsigned long long done, of;
    uint64_t since_ms;
};

static int check_going_on(struct stall *stall, const virDomainBlockJobInfo *job,
                          unsigned stall_timeout_s, struct error *err)
{
    uint64_t now_ms = clock_now_ms();
    int r = cancel_check(err);
    if (r < 0)
        return r;
    if (stall->since_ms == 0 || job->cur != stall->done || job->end != stall->of)
        *stall = (struct stall){job->cur, job->end, now_ms};
    return now_ms - stall->since_ms <= seconds_ms(stall_timeout_s)
               ? 0
               : error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR, "nothing more was merged for %u s",
                           stall_timeout_s);
}

int merge_live_await(virDomainPtr domain, const json_t *disk, unsigned stall_timeout_s,
                     bool *ret_ready, struct error *err)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    struct stall stall = {0};
    for (;;) {
        virDomainBlockJobInfo job = {0};
        int n = virDomainGetBlockJobInfo(domain, target_of(disk), &job, 0);
        if (n < 0 && virDomainIsActive(domain) == 0)
            return 0;
        if (n < 0)
            return libvirt_error(err, "cannot read how far disk %s is merged", target_of(disk));
        bool is_commit = job.type == VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT ||
                         job.type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT;
        if (n == 0)
            return 0;
        if (!is_commit)
            return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                             "disk %s has another block job: wait for it", target_of(disk));
        int r = check_going_on(&stall, &job, stall_timeout_s, err);
        if (r < 0) {
            (void)virDomainBlockJobAbort(domain, target_of(disk), 0);
            return r;
        }
        if (job.type == VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT)
            r = check_ready(domain, disk, ret_ready, err);
        if (r < 0 || *ret_ready)
            return r;
        (void)nanosleep(&pause, NULL);
    }
}
