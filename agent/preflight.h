/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this host can take snapshots now: folders and room, programs, libvirt, a token of
 * Keystone's for [service_user], Glance. It is looked at before the first request, from time to
 * time, before a request is begun, and when one has failed. While it cannot, the agent is detached
 * and nova-compute does the work; why is told once. With attach = exclusive there is no other to do
 * it: requests are served to their failure, for nobody else would tell Nova.
 *
 * Thread-safe; NULL finds nothing wrong.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "common/request_context.h"
#include "driver/driver.h"

struct agent;
struct preflight;

/*
 * `agent` is borrowed, with all its parts. Requests that fail within `pause_ms` are one reason to
 * look. Returns owned.
 */
int preflight_new(struct agent *agent, unsigned pause_ms, struct preflight **ret_preflight,
                  struct error *err);

/* NULL-safe. Waits for a look that is under way. */
void preflight_free(struct preflight *preflight);

/* Looks from now on, on a thread of its own; waits for the first look, at most `timeout_ms`. */
int preflight_start(struct preflight *preflight, unsigned timeout_ms, struct error *err);

/*
 * Before a request of this context is begun: looks, unless that was done a moment ago or somebody
 * is about it. Fails with what keeps this host from serving it.
 */
int preflight_look(struct preflight *preflight, const struct request_context *context,
                   struct error *err);

/* What the last look has found, for whoever asks. Does not wait for a look. */
int preflight_trouble(struct preflight *preflight, struct error *err);

/*
 * All that it has found, an array of {"check", "text"}: the first is preflight_trouble()'s. A look
 * on behalf of a request ends with the first, those of the thread's own go on. Owned; NULL: no
 * memory.
 */
json_t *preflight_troubles(struct preflight *preflight);

/* As driver_ops.describe_host said at the last look at which it answered; "" = at none. */
void preflight_hypervisor(struct preflight *preflight, char ret_text[static DRIVER_TEXT_MAX]);

/*
 * preflight_trouble() for a request: 0, or -errno with the reason, and then the agent is detached
 * already. Always 0 where there is no nova-compute that could serve it.
 */
int preflight_check(struct preflight *preflight, struct error *err);

/* A request has failed: the thread looks soon. */
void preflight_suspect(struct preflight *preflight);
