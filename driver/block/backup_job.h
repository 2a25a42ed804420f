/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull-mode backup job (virDomainBackupBegin): from one instant on QEMU shows a disk as it was
 * then, over NBD, while the guest writes on; what the guest overwrites is kept in a scratch file.
 * The domain stays defined. One object per snapshot, not shared between threads.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* A disk of the job beside its first one. */
struct backup_job_disk {
    const char *target, *scratch_path; /* borrowed, as in struct backup_job */
};

struct backup_job {
    const char *disk_target;              /* borrowed: vda, and the name of the export */
    const char *scratch_path;             /* borrowed: made before; what tells ours from others */
    const char *socket_path;              /* borrowed: QEMU makes it */
    const struct backup_job_disk *others; /* borrowed: further disks, of the same instant */
    size_t n_others;
    const char *incremental;    /* borrowed: a checkpoint. What was written since is exported too,
                                   as dirty bitmap "backup-" and the target. NULL: nothing is */
    const char *checkpoint_xml; /* borrowed: of one made at the same instant; NULL: none */
    bool running;               /* the job is, or may be, there */
    bool may_come;              /* it may yet come: nobody knows what became of the request */
};

/* EBUSY when the domain has another job, which libvirt would wait for. */
int backup_job_check_idle(virDomainPtr domain, struct error *err);

/* Begins it: the disk is shown as it is when this returns 0, at the latest. */
int backup_job_begin(struct backup_job *job, virDomainPtr domain, struct error *err);

/*
 * Ends it if it is still there, as its scratch file tells, and waits until it is gone, at most
 * 30 s. A job of somebody else is not touched. When it may yet come (may_come), its scratch file is
 * removed: without that libvirt refuses it.
 */
int backup_job_undo(struct backup_job *job, virDomainPtr domain, struct error *err);

/*
 * Tells of each file in which the backup job of a domain, whoever has begun it, keeps what the
 * guest overwrites; of none when there is no job. The strings are borrowed for the call.
 */
int backup_job_visit_scratch(virDomainPtr domain,
                             void (*visit)(void *arg, const char *disk_target, const char *path),
                             void *arg, struct error *err);
