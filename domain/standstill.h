/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a guest stands still, by what libvirt tells of it: from the first event that it was
 * suspended to the one that it goes on. As exact as events come: some milliseconds.
 */
#pragma once

#include <libvirt/libvirt.h>
#include <stdint.h>

#include "common/error.h"

#define STANDSTILL_UNKNOWN UINT64_MAX /* it did, and nothing tells for how long */

struct standstill;

/* From now on the domain is listened to. Returns owned: standstill_end(). */
int standstill_begin(virDomainPtr domain, struct standstill **ret_standstill, struct error *err);

/* Waits `patience_ms` for a guest that has been suspended to go on, or to end: events may come
 * after the call that they are about. 0: it never stood still; STANDSTILL_UNKNOWN when it has not
 * gone on by then. Frees it; NULL-safe. */
uint64_t standstill_end(struct standstill *standstill, unsigned patience_ms);
