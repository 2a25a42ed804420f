/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's work on one domain of this host's libvirt, nova's or not: the connection, the domain,
 * its lock, and the record of what is done. On one thread.
 */
#pragma once

#include <libvirt/libvirt.h>

#include "common/domain_lock.h"
#include "common/error.h"
#include "domain/record.h"
#include "driver/libvirt_driver_private.h"

/* Where records, and files that QEMU writes meanwhile, are kept. */
#define SESSION_STATE_DIR "/var/lib/nova-snapshot"

/* An outcome: nobody is there whose disks what is left could be put back to. */
#define SESSION_GONE "given up, as the domain has gone"

struct session_options {
    const char *uri;         /* NULL: qemu:///system */
    const char *state_dir;   /* NULL: SESSION_STATE_DIR */
    const char *lock_folder; /* NULL: DOMAIN_LOCK_FOLDER */
    bool looks_only;         /* no lock and no record are taken, and nothing may be changed */
    bool takes_unknown;      /* its uuid is given, of which libvirt may know no domain yet */
};

struct session {
    struct libvirt_driver *driver; /* its snapshots_directory is below the state folder */
    const char *state_dir;         /* borrowed from the options */
    virDomainPtr domain; /* NULL: libvirt knows it no more, but there is a record of it, or
                            it takes unknown ones */
    char uuid[DRIVER_UUID_MAX];
    char *libvirt; /* owned: its URI, as libvirt has it */
    struct domain_lock *lock;
    const char *outcome;           /* static: how the record has ended; NULL: it was undone */
    struct record *record;         /* empty: nothing is begun; NULL: it looks only */
    struct driver_journal journal; /* writes into the record, as "driver" */
};

/*
 * Finds the domain by its name or uuid, by what an earlier command has written down where libvirt
 * knows none, and takes its lock. What an earlier command has left that died is in the record:
 * leftover_undo() comes first, then session_need_domain(). ENOENT with InstanceNotFound when there
 * is no such domain; EBUSY when another process is at work on it; EINVAL naming the URI of
 * another libvirt when what is written down is of that; EIO or ETIMEDOUT with libvirt's
 * class when libvirtd is not there. Returns owned.
 */
int session_open(const struct session_options *options, const char *domain_name,
                 struct session **ret_session, struct error *err);

/*
 * Looks for the domain as it is now, in place of what was found before: its guest may be another by
 * what an earlier command has left. ENOENT with InstanceNotFound when it is not there.
 */
int session_need_domain(struct session *session, struct error *err);

/* Writes down what the domain is called: by its name it is found again, should it be lost. */
int session_note_domain(struct session *session, struct error *err);

/* NULL-safe. */
void session_close(struct session *session);
