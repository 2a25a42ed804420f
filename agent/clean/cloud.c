/* SPDX-License-Identifier: Apache-2.0 */
/* See cloud.h. */
#include "agent/clean/cloud.h"

#include <errno.h>
#include <string.h>

#include "agent/conductor.h"
#include "common/cleanup.h"
#include "common/keystone.h"
#include "conf/conf.h"

#define KEYSTONE_MS 20000

static const char *const waiting[] = {"queued", "saving"};

int clean_cloud_open(const struct agent *agent, struct clean_cloud *ret_cloud, struct error *err)
{
    struct clean_cloud cloud = {NULL, NULL, NULL, NULL};
    if (!agent->own_session)
        return error_set(err, EACCES, EXC_INTERNAL_ERROR,
                         "[service_user] has no credentials to ask Glance with");
    int r = request_context_new_admin(&cloud.admin, err);
    if (r == 0)
        r = keystone_session_context(agent->own_session, KEYSTONE_MS, &cloud.glance, err);
    if (r < 0)
        clean_cloud_done(&cloud);
    else
        *ret_cloud = cloud;
    return r;
}

/* Glance's default policy: role admin, or only what is one's own project's or shared with it. */
int clean_cloud_check_sees_all(const struct clean_cloud *cloud, struct error *err)
{
    size_t i;
    const json_t *role;
    json_array_foreach (json_object_get(cloud->glance->values, "roles"), i, role) {
        if (json_is_string(role) && strcasecmp(json_string_value(role), "admin") == 0)
            return 0;
    }
    return error_set(
        err, EACCES, EXC_INTERNAL_ERROR,
        "the user of [service_user] has no role admin in its project, and Glance shows "
        "it no images of other projects");
}

static int list_images(const struct agent *agent, struct clean_cloud *cloud, const char *type,
                       const char *status, struct error *err)
{
    json_t *listed = NULL;
    json_t *filters = json_pack("{s:s, s:s}", "image_type", type, "status", status);
    int r = filters ? glance_image_list(agent->glance, cloud->glance, filters, &listed, err)
                    : error_nomem(err);
    json_decref(filters);
    if (r == 0 && json_array_extend(cloud->images, listed) < 0)
        r = error_nomem(err);
    json_decref(listed);
    return r;
}

int clean_cloud_read(const struct agent *agent, struct clean_cloud *cloud, struct error *err)
{
    static const char *const types[] = {"snapshot", "backup"};
    cloud->images = json_array();
    int r = conductor_instance_list(agent->bus, cloud->admin, agent->conf->DEFAULT.host,
                                    &cloud->instances, err);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        for (size_t k = 0; r == 0 && k < ARRAY_SIZE(waiting); k++)
            r = list_images(agent, cloud, types[i], waiting[k], err);
    return r;
}

bool clean_cloud_waits(const char *status)
{
    for (size_t i = 0; i < ARRAY_SIZE(waiting); i++)
        if (strcmp(status, waiting[i]) == 0)
            return true;
    return false;
}

void clean_cloud_done(struct clean_cloud *cloud)
{
    request_context_free(cloud->admin);
    request_context_free(cloud->glance);
    json_decref(cloud->instances);
    json_decref(cloud->images);
    *cloud = (struct clean_cloud){NULL, NULL, NULL, NULL};
}
