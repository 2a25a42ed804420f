/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A shallow copy of a disk into an overlay that QEMU keeps in step until the copy is ended without
 * a pivot: virDomainBlockRebase with COPY, REUSE_EXT and SHALLOW, as nova, or virDomainBlockCopy
 * with TRANSIENT_JOB. Waited for by event. One object per snapshot, not shared between threads.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "driver/driver.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain_watch.h"

struct block_copy {
    const char *uuid;         /* borrowed: of the instance */
    const char *disk_target;  /* borrowed: vda */
    const char *overlay_path; /* borrowed: what it is copied to; tells our copy from others */
    const struct driver_observer *observer; /* borrowed; NULL: nobody is told */
    unsigned stall_timeout_s;
    const atomic_uint_least64_t *usual_bytes_per_s; /* borrowed; the observer may know better */
    uint64_t wanted_bytes_per_s;                    /* when they were last asked */
    uint64_t bytes_per_s;       /* 0: as fast as it can; also after the limit was lifted */
    bool transient_job;         /* virDomainBlockCopy: the domain may stay persistent */
    struct domain_watch *watch; /* owned */
    struct domain_news news;
    bool running;  /* the copy is, or may be, on the disk */
    bool may_come; /* it may yet come: nobody knows what became of the request */
};

/* Starts it. Without transient_job the domain may not be persistent; the overlay must be there. */
int block_copy_start(struct block_copy *copy, struct libvirt_connection *connection,
                     virDomainPtr domain, struct error *err);

/*
 * Waits until the overlay is in step. A limit that becomes another one holds within seconds. It is
 * lifted, until it becomes another one, when the guest writes about as fast as it lets the copy go
 * on. InstanceNotFound (ESTALE) when the guest ends; ETIMEDOUT when it has not
 * come nearer to its end for stall_timeout_s; ECONNRESET when libvirtd is lost; ECANCELED.
 */
int block_copy_await_ready(struct block_copy *copy, virDomainPtr domain, struct error *err);

/* Ends it: the overlay keeps the disk of this instant. */
int block_copy_end(struct block_copy *copy, virDomainPtr domain, struct error *err);

/* After block_copy_end(): the overlay is good only when libvirt says that it was ended by us. */
int block_copy_confirm_end(struct block_copy *copy, virDomainPtr domain, struct error *err);

/* Ends it if it is still there, as libvirt's definition of the disk tells. */
int block_copy_undo(struct block_copy *copy, virDomainPtr domain, struct error *err);

/*
 * The same for a copy whose overlay nobody wants: waits until it is gone, at most 30 s (ETIMEDOUT),
 * whatever QEMU does, and no longer than the thread's work goes on (ECANCELED).
 */
int block_copy_drop(struct block_copy *copy, virDomainPtr domain, struct error *err);

/* Frees what it holds; it does not end the copy. */
void block_copy_done(struct block_copy *copy);
