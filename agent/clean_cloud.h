/* SPDX-License-Identifier: Apache-2.0 */
/* What Nova and Glance tell of this host's servers. Confined to one thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <time.h>

#include "agent/agent.h"
#include "common/error.h"
#include "common/request_context.h"

struct clean_cloud {
    struct request_context *admin;  /* owned; for conductor */
    struct request_context *glance; /* owned; the same with a token of [service_user] */
    json_t *instances;              /* owned; nova_object.data of each */
    json_t *images;                 /* owned; those of snapshots that are queued or saving, of all
                                       hosts */
};

/* Makes both contexts. EACCES when there is no [service_user] to ask Glance as. */
int clean_cloud_open(const struct agent *agent, struct clean_cloud *ret_cloud, struct error *err);

int clean_cloud_read(const struct agent *agent, struct clean_cloud *cloud, struct error *err);

/* Whether the image is still one that is queued or saving. A deleted one is not. */
int clean_cloud_waits(const struct agent *agent, const struct clean_cloud *cloud,
                      const char *image_id, bool *ret_waits, struct error *err);

/* "2026-11-28T20:00:00Z", as both write it: 0 when it cannot be read. */
time_t clean_cloud_time(const json_t *object, const char *key);

void clean_cloud_done(struct clean_cloud *cloud);
