/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that does not run, for the time its disk is read. Nobody is kept from starting it or
 * letting it go on (the disk is read without QEMU's lock on it); what was read is good only when
 * nobody has.
 */
#pragma once

#include "common/error.h"
#include "driver/driver.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain_watch.h"

/* A run of a guest, or that there is none. */
struct guest_run {
    enum power_state power_state;
    int domain_id; /* -1: it is not active */
};

struct guest_rest {
    struct libvirt_connection *connection; /* borrowed */
    const char *uuid;                      /* borrowed */
    struct guest_run run;
    struct domain_watch *watch; /* owned; NULL: it is not watched */
};

/* ESTALE when the guest is not, or no longer, as `run` says; InstanceNotFound. */
int guest_rest_check_run(struct libvirt_connection *connection, const char *uuid,
                         const struct guest_run *run, struct error *err);

/*
 * From now on it is to stay as `run` says. ESTALE when it is not so even now; InstanceNotFound.
 * Waits for a libvirtd that is being restarted: a guest that was saved does so as well.
 */
int guest_rest_begin(struct guest_rest *rest, struct libvirt_connection *connection,
                     const char *uuid, const struct guest_run *run, struct error *err);

/*
 * ESTALE when it has run since guest_rest_begin(), is another run now, or when libvirt was lost and
 * nobody knows. Waits for a libvirtd that is being restarted.
 */
int guest_rest_check(const struct guest_rest *rest, struct error *err);

/* Harmless when it was never begun. */
void guest_rest_done(struct guest_rest *rest);
