/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command `domain checkpoint`: a point of a domain's present that one may come back to, made by
 * libvirt (virDomainSnapshotCreateXML) and known to it alone. On one thread.
 */
#pragma once

#include <stdint.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"
#include "domain/session.h"

struct checkpoint_report {
    struct checkpoint_plan plan; /* owned: what was made */
    uint64_t memory_bytes;       /* on disk, of an external one */
    uint64_t stood_still_ms;     /* the guest; 0: it did not; or STANDSTILL_UNKNOWN */
    uint64_t frozen_ms;          /* its filesystems, at most; 0: they were not */
    bool is_halted;              /* the guest was stopped at that instant */
};

/*
 * All of it is there when it returns 0, with memory on disk. When it does not, nothing is, unless
 * it is told that it was made all the same, as when only the sync of its files failed; the guest is
 * as it was. First what an earlier command has left is undone. Errors as checkpoint_check() and
 * libvirt. Free with checkpoint_take_done(), also after a failure.
 */
int checkpoint_take(struct session *session, const struct checkpoint_request *request,
                    struct checkpoint_report *ret_report, struct error *err);

/*
 * Its two parts, for a command that has more to do. What is to be made: changes nothing; free with
 * checkpoint_take_done(), also after a failure. Then making it: what it has left is settled by
 * checkpoint_settle(), whatever it returns.
 */
int checkpoint_take_prepare(struct session *session, const struct checkpoint_request *request,
                            struct checkpoint_plan *ret_plan, struct error *err);
int checkpoint_take_make(struct session *session, const struct checkpoint_request *request,
                         struct checkpoint_report *report, struct error *err);

/* What was made is on disk, for who is about to end the guest. Errors naming the file. */
int checkpoint_take_write_through(const struct checkpoint_plan *plan, struct error *err);

/* Frees what is in it. */
void checkpoint_take_done(struct checkpoint_report *report);
