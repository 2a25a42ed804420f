/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block job that takes a layer out of a volume of an active guest: virDomainBlockRebase (pull)
 * or virDomainBlockCommit. Waited for by event; the chain that libvirt has in the end is what
 * counts. One object per request, not shared between threads.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>

#include "common/error.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain_watch.h"
#include "driver/volume/chain.h"

struct merge_job {
    struct libvirt_connection *connection; /* borrowed, as all up to stall_timeout_s */
    const char *uuid;                      /* of the instance */
    const char *volume_id;
    const struct volume_disk *disk; /* as it is before */
    const struct volume_merge_plan *plan;
    unsigned stall_timeout_s;
    bool join;                  /* the job is there already, or was just now: it is waited for */
    virDomainPtr domain;        /* owned; changes when libvirtd is lost and found again */
    struct domain_watch *watch; /* owned */
    struct domain_news news;
};

/*
 * Starts the job on a disk without one, or joins the one there is, and waits for its end: 0 when
 * the layers are gone. A job that makes no progress for stall_timeout_s is ended (ETIMEDOUT), so is
 * one that is cancelled (ECANCELED). A restart of libvirtd is waited for, the job goes on in QEMU
 * meanwhile. On failure the guest reads its disk as before. InstanceNotRunning when the guest ends
 * first.
 */
int merge_job_run(struct merge_job *merge, struct error *err);

/* Takes the domain and the watch back. */
void merge_job_done(struct merge_job *merge);
