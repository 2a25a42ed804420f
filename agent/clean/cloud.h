/* SPDX-License-Identifier: Apache-2.0 */
/* What Nova and Glance tell of this host's servers. Confined to one thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "agent/agent.h"
#include "common/error.h"
#include "common/request_context.h"
#include "glance_client/glance.h"

struct clean_cloud {
    struct request_context *admin;  /* owned; for conductor */
    struct request_context *glance; /* owned; of [service_user] */
    json_t *instances;              /* owned; nova_object.data of each */
    json_t *images;                 /* owned; those of snapshots that are queued or saving, of all
                                       hosts, as far as Glance shows them */
};

/* Makes both contexts. EACCES when there is no [service_user] to ask Glance as. */
int clean_cloud_open(const struct agent *agent, struct clean_cloud *ret_cloud, struct error *err);

/* EACCES unless Glance shows us the images of all projects. */
int clean_cloud_check_sees_all(const struct clean_cloud *cloud, struct error *err);

int clean_cloud_read(const struct agent *agent, struct clean_cloud *cloud, struct error *err);

/* Whether an image of this status is one that somebody is to fill. */
bool clean_cloud_waits(const char *status);

void clean_cloud_done(struct clean_cloud *cloud);
