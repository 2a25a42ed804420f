/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that changes a domain, and may outlive its caller: libvirt lets it wait for the domain's
 * jobs of others, and shows no job meanwhile. On one thread.
 *
 * Notes of the record:
 *   begun     clock_now_ms(): libvirt is about to be asked
 *   answered  libvirt has answered, or was not asked: as often as it was asked, or nobody knows
 */
#pragma once

#include <stdint.h>

#include "domain/session.h"

/* To be called just before; nothing is to be asked after a failure. */
int pending_call_begin(struct session *session, struct error *err);

/* It has come to its end: for a command that asks more than once. */
int pending_call_answered(struct session *session, struct error *err);

/* It has failed, or was not made. Where the connection was lost in it nobody knows what libvirt
 * does; of a domain that libvirt did not know it is taken to be over. */
void pending_call_failed(struct session *session);

/*
 * Until when libvirt may still begin, of clock_now_ms(), which is told in the log; 0: it has begun,
 * or will not any more.
 */
uint64_t pending_call_until_ms(const struct session *session);
