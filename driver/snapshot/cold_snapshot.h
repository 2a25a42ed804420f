/* SPDX-License-Identifier: Apache-2.0 */
/* The cold snapshot in two parts: taking it (cold.c), undoing it (cold_snapshot.c). */
#pragma once

#include <jansson.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "driver/definition/disk_source.h"
#include "driver/image/disk_space.h"
#include "driver/image/staging.h"
#include "driver/libvirt/domain_watch.h"
#include "driver/libvirt/guest_rest.h"
#include "driver/libvirt/host_devices.h"
#include "driver/libvirt_driver_private.h"

struct cold_snapshot {
    struct libvirt_driver *driver;
    const struct guest_info *info;
    const struct snapshot_plan *plan;
    const struct driver_owner *owner; /* borrowed; may be NULL */
    struct disk_source source;
    virDomainPtr domain; /* owned; NULL when there is none any more */
    struct staging *staging;
    struct disk_space *space;
    struct domain_watch *watch; /* of host devices */
    struct guest_rest rest;     /* for the time the disk is read */
    /* progress: what cold_snapshot_resume() has to put back */
    bool suspending; /* the guest ran */
    bool recovering; /* another process suspended it, and others may have had a hand in it since */
    bool host_rebooted; /* it may have been evacuated since */
    bool started;       /* from its saved memory */
    bool left_off;      /* its user has stopped it meanwhile, or it runs on another host */
    struct host_devices devices;
    uint64_t paused_since_ms; /* 0 = never */
};

/*
 * All that comes before anything is done (cold.c): finds the domain and what has to come back,
 * chooses the names, reserves room.
 */
int cold_snapshot_prepare(struct cold_snapshot *op, struct error *err);

/* The journal's entry to begin with; NULL when out of memory. Returns owned. */
json_t *cold_snapshot_entry(const struct cold_snapshot *op);

/*
 * Lets the guest go on. Every step runs while there is a domain, if need be twice; *err keeps the
 * first error.
 */
void cold_snapshot_resume(struct cold_snapshot *op, struct error *err);

/* Frees what the snapshot holds, and removes its files. */
void cold_snapshot_done(struct cold_snapshot *op);
