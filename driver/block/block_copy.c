/* SPDX-License-Identifier: Apache-2.0 */
/* See block_copy.h. */
#include "driver/block/block_copy.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/retry.h"
#include "driver/block/copy_progress.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"

#define LOOKS_PER_STALL 8
#define LOOK_MAX_MS 10000
#define TELL_MS 2000
#define END_TIMEOUT_MS 30000

/* Where to copy to, for virDomainBlockCopy. Returns owned: xmlFree(). */
static xmlChar *describe_target(const struct block_copy *copy)
{
    xmlChar *text = NULL;
    int size = 0;
    cleanup_xml_document xmlDoc *document = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *disk = xmlNewNode(NULL, (const xmlChar *)"disk");
    (void)xmlDocSetRootElement(document, disk);
    xml_node_set_attribute(disk, "type", "file");
    xml_node_set_attribute(xml_node_add_child(disk, "driver"), "type", "qcow2");
    xml_node_set_attribute(xml_node_add_child(disk, "source"), "file", copy->overlay_path);
    xmlDocDumpMemory(document, &text, &size);
    return text;
}

static int start_transient(const struct block_copy *copy, virDomainPtr domain)
{
    xmlChar *xml = describe_target(copy);
    virTypedParameter limit = {.field = VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
                               .type = VIR_TYPED_PARAM_ULLONG,
                               .value.ul = copy->bytes_per_s};
    int r = virDomainBlockCopy(domain, copy->disk_target, (const char *)xml, &limit,
                               copy->bytes_per_s > 0,
                               VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | VIR_DOMAIN_BLOCK_COPY_SHALLOW |
                                   VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB);
    xmlFree(xml);
    return r;
}

static int start_copy(const struct block_copy *copy, virDomainPtr domain)
{
    unsigned flags = VIR_DOMAIN_BLOCK_REBASE_COPY | VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT |
                     VIR_DOMAIN_BLOCK_REBASE_SHALLOW;
    if (copy->transient_job)
        return start_transient(copy, domain);
    if (copy->bytes_per_s > 0)
        flags |= VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES;
    return virDomainBlockRebase(domain, copy->disk_target, copy->overlay_path, copy->bytes_per_s,
                                flags);
}

static uint64_t ask_rate(const struct block_copy *copy)
{
    return driver_ask_copy_rate(copy->observer, atomic_load(copy->usual_bytes_per_s));
}

int block_copy_start(struct block_copy *copy, struct libvirt_connection *connection,
                     virDomainPtr domain, struct error *err)
{
    copy->news = (struct domain_news)DOMAIN_NEWS_INIT;
    copy->wanted_bytes_per_s = copy->bytes_per_s = ask_rate(copy);
    int r =
        libvirt_connection_watch(connection, copy->uuid, copy->disk_target, 0, &copy->watch, err);
    if (r < 0)
        return r;
    copy->running = copy->may_come = true; /* also when the answer is lost */
    if (start_copy(copy, domain) < 0)
        return libvirt_error(err, "cannot start to copy disk %s", copy->disk_target);
    log_debug("block copy: disk %s to %s, by %s, limit %" PRIu64 " bytes/s (0: none)",
              copy->disk_target, copy->overlay_path,
              copy->transient_job ? "virDomainBlockCopy" : "virDomainBlockRebase",
              copy->bytes_per_s);
    copy->may_come = false;
    return 0;
}

static int judge_news(const struct block_copy *copy, struct error *err)
{
    const struct domain_news *news = &copy->news;
    if (news->stopped)
        return error_set(err, ESTALE, EXC_INSTANCE_NOT_FOUND,
                         "Instance %s ended while its disk was copied", copy->uuid);
    if (news->disconnected)
        return error_set(err, ECONNRESET, EXC_INTERNAL_ERROR,
                         "the connection to libvirtd was lost while disk %s was copied",
                         copy->disk_target);
    if (news->block_job_status >= 0 && news->block_job_status != VIR_DOMAIN_BLOCK_JOB_READY)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "the copy of disk %s ended before it was complete (block job status %d)",
                         copy->disk_target, news->block_job_status);
    return 0;
}

/* A limit that cannot be lifted is no failure: the copy may come to its end all the same. */
static void lift_limit(struct block_copy *copy, virDomainPtr domain)
{
    struct error failure = ERROR_INIT;
    if (copy->bytes_per_s == 0)
        return;
    copy->bytes_per_s = 0;
    if (virDomainBlockJobSetSpeed(domain, copy->disk_target, 0, 0) == 0)
        return;
    (void)libvirt_error(&failure, "cannot lift the limit of the copy of disk %s, it goes on slowly",
                        copy->disk_target);
    log_warning("%s", failure.message);
}

/* A limit that was lifted comes back only as another one. */
static void follow_limit(struct block_copy *copy, virDomainPtr domain,
                         struct copy_progress *progress)
{
    struct error failure = ERROR_INIT;
    uint64_t wanted = ask_rate(copy);
    if (wanted == copy->wanted_bytes_per_s)
        return;
    copy->wanted_bytes_per_s = wanted;
    if (virDomainBlockJobSetSpeed(domain, copy->disk_target, wanted,
                                  VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES) < 0) {
        (void)libvirt_error(&failure, "cannot change the limit of the copy of disk %s",
                            copy->disk_target);
        log_warning("%s", failure.message);
        return;
    }
    log_info("disk %s is copied at %" PRIu64 " bytes/s at most from now on (0: no limit)",
             copy->disk_target, wanted);
    copy->bytes_per_s = wanted;
    copy_progress_again(progress);
}

static int read_job(const struct block_copy *copy, virDomainPtr domain,
                    virDomainBlockJobInfo *ret_job, struct error *err)
{
    int n = virDomainGetBlockJobInfo(domain, copy->disk_target, ret_job, 0);
    if (n < 0)
        return libvirt_error(err, "cannot read the progress of the copy of disk %s",
                             copy->disk_target);
    if (n == 0)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "the copy of disk %s has vanished",
                         copy->disk_target);
    log_debug("block copy: disk %s, %llu of %llu bytes", copy->disk_target, ret_job->cur,
              ret_job->end);
    driver_tell_copied(copy->observer, ret_job->cur, ret_job->end);
    return 0;
}

/* When the next judgement is due, and what it is made from. */
struct judgement {
    struct copy_progress progress;
    unsigned pause_ms;
    uint64_t next_ms;
};

/* Does it come nearer to its end? */
static int judge_progress(struct block_copy *copy, virDomainPtr domain, struct judgement *judgement,
                          const virDomainBlockJobInfo *job, struct error *err)
{
    struct copy_progress *progress = &judgement->progress;
    uint64_t now_ms = clock_now_ms();
    if (now_ms < judgement->next_ms)
        return 0;
    judgement->next_ms = now_ms + judgement->pause_ms;
    if (copy_progress_note(progress, job->cur, job->end) && copy->bytes_per_s > 0) {
        log_warning("copy of disk %s cannot keep up with the guest's writes: disk_rate_limit "
                    "(%" PRIu64 " bytes/s) lifted",
                    copy->disk_target, copy->bytes_per_s);
        lift_limit(copy, domain);
        copy_progress_again(progress);
    }
    return copy_progress_check(progress, copy->disk_target, copy->stall_timeout_s, err);
}

/* Without news. */
static int look_at_job(struct block_copy *copy, virDomainPtr domain, struct judgement *judgement,
                       struct error *err)
{
    virDomainBlockJobInfo job = {0};
    follow_limit(copy, domain, &judgement->progress);
    int r = read_job(copy, domain, &job, err);
    return r < 0 ? r : judge_progress(copy, domain, judgement, &job, err);
}

int block_copy_await_ready(struct block_copy *copy, virDomainPtr domain, struct error *err)
{
    unsigned pause_ms =
        (unsigned)earlier_ms(seconds_ms(copy->stall_timeout_s) / LOOKS_PER_STALL, LOOK_MAX_MS);
    unsigned look_ms = copy->observer ? (unsigned)earlier_ms(pause_ms, TELL_MS) : pause_ms;
    struct judgement judgement = {.progress = copy_progress_begin(),
                                  .pause_ms = pause_ms,
                                  .next_ms = clock_now_ms() + pause_ms};
    for (;;) {
        bool heard = domain_watch_wait(copy->watch, look_ms, &copy->news);
        if (cancel_check(err) < 0)
            return -ECANCELED;
        int r = heard ? judge_news(copy, err) : look_at_job(copy, domain, &judgement, err);
        if (r < 0)
            return r;
        if (copy->news.block_job_status != VIR_DOMAIN_BLOCK_JOB_READY)
            continue;
        log_debug("block copy: the overlay of disk %s is in step", copy->disk_target);
        lift_limit(copy, domain); /* to end it takes the last writes, and the guest may be frozen */
        return 0;
    }
}

int block_copy_end(struct block_copy *copy, virDomainPtr domain, struct error *err)
{
    if (virDomainBlockJobAbort(domain, copy->disk_target, 0) < 0)
        return libvirt_error(err, "cannot end the copy of disk %s", copy->disk_target);
    log_debug("block copy: the one of disk %s is asked to end", copy->disk_target);
    return 0;
}

static int await_end_event(struct block_copy *copy, struct error *err)
{
    const struct domain_news *news = &copy->news;
    while (news->block_job_status == VIR_DOMAIN_BLOCK_JOB_READY && !news->stopped &&
           !news->disconnected)
        if (!domain_watch_wait(copy->watch, END_TIMEOUT_MS, &copy->news))
            return cancel_check(err) < 0
                       ? -ECANCELED
                       : error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                                   "the copy of disk %s did not end", copy->disk_target);
    return news->block_job_status == VIR_DOMAIN_BLOCK_JOB_CANCELED ? 0 : judge_news(copy, err);
}

/* Whether our copy is on the disk. */
static int find_copy(const struct block_copy *copy, virDomainPtr domain, bool *ret_there,
                     struct error *err)
{
    struct domain_description *description = NULL;
    int r = libvirt_domain_describe(domain, &description, err);
    if (r < 0)
        return r;
    const struct domain_disk *disk = domain_description_disk(description, copy->disk_target);
    *ret_there = disk && disk->has_mirror && strcmp(disk->mirror_path, copy->overlay_path) == 0;
    domain_description_free(description);
    return 0;
}

int block_copy_confirm_end(struct block_copy *copy, virDomainPtr domain, struct error *err)
{
    bool there = false;
    int r = await_end_event(copy, err);
    if (r < 0)
        return r;
    r = find_copy(copy, domain, &there, err);
    if (r < 0)
        return r;
    if (there)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR, "the copy of disk %s did not go away",
                         copy->disk_target);
    log_debug("block copy: the one of disk %s has ended, its overlay is good", copy->disk_target);
    copy->running = false;
    return 0;
}

int block_copy_undo(struct block_copy *copy, virDomainPtr domain, struct error *err)
{
    bool there = false;
    if (!copy->running)
        return 0;
    int r = find_copy(copy, domain, &there, err);
    if (r < 0)
        return r;
    if (there && block_copy_end(copy, domain, err) < 0)
        return -err->errnum;
    copy->running = false;
    return 0;
}

int block_copy_drop(struct block_copy *copy, virDomainPtr domain, struct error *err)
{
    static const struct retry_policy looks = {UINT_MAX, 50, 500, END_TIMEOUT_MS};
    struct retry retry = retry_begin(&looks);
    bool there = false;
    int r = find_copy(copy, domain, &there, err);
    if (r == 0 && there &&
        virDomainBlockJobAbort(domain, copy->disk_target, VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC) < 0)
        return libvirt_error(err, "cannot end the copy of disk %s", copy->disk_target);
    while (r == 0 && there && retry_wait(&retry, 0))
        r = find_copy(copy, domain, &there, err);
    if (r == 0 && there)
        r = cancel_check(err);
    if (r == 0 && there)
        r = error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR, "the copy of disk %s does not end",
                      copy->disk_target);
    return r;
}

void block_copy_done(struct block_copy *copy)
{
    domain_watch_free(copy->watch);
    copy->watch = NULL;
}
