/* SPDX-License-Identifier: Apache-2.0 */
/* See clean_cloud.h. */
#include "agent/clean_cloud.h"

#include <errno.h>
#include <string.h>

#include "agent/conductor.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "common/keystone.h"
#include "common/secret.h"
#include "conf/conf.h"
#include "glance_client/glance.h"

#define PEEK_MS 10000

static const char *const waiting[] = {"queued", "saving"};

/* The administrator's context with our own token in it. */
static int open_glance(const struct agent *agent, struct clean_cloud *cloud, struct error *err)
{
    char *token = NULL;
    if (!agent->own_session)
        return error_set(err, EACCES, EXC_INTERNAL_ERROR,
                         "[service_user] has no credentials to ask Glance with");
    int r = keystone_session_get_token(agent->own_session, &token, err);
    if (r < 0)
        return r;
    json_t *values = json_copy(cloud->admin->values);
    r = values && json_object_set_new(values, "auth_token", json_string(token)) == 0
            ? request_context_from_values(values, &cloud->glance, err)
            : error_nomem(err);
    json_decref(values);
    secret_free(token);
    return r;
}

int clean_cloud_open(const struct agent *agent, struct clean_cloud *ret_cloud, struct error *err)
{
    struct clean_cloud cloud = {NULL, NULL, NULL, NULL};
    int r = request_context_new_admin(&cloud.admin, err);
    if (r == 0)
        r = open_glance(agent, &cloud, err);
    if (r < 0)
        clean_cloud_done(&cloud);
    else
        *ret_cloud = cloud;
    return r;
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

int clean_cloud_waits(const struct agent *agent, const struct clean_cloud *cloud,
                      const char *image_id, bool *ret_waits, struct error *err)
{
    struct glance_image image = {0};
    struct error failure = ERROR_INIT;
    bool waits = false;
    int r = glance_image_peek(agent->glance, cloud->glance, image_id, PEEK_MS, &image, &failure);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(waiting); i++)
        waits = waits || strcmp(image.status, waiting[i]) == 0;
    glance_image_done(&image);
    if (r < 0 && !error_is(&failure, EXC_IMAGE_NOT_FOUND)) {
        *err = failure;
        return r;
    }
    *ret_waits = waits;
    return 0;
}

time_t clean_cloud_time(const json_t *object, const char *key)
{
    struct tm tm = {0};
    const char *text = json_string_member(object, key);
    const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return rest && strcmp(rest, "Z") == 0 ? timegm(&tm) : 0;
}

void clean_cloud_done(struct clean_cloud *cloud)
{
    request_context_free(cloud->admin);
    request_context_free(cloud->glance);
    json_decref(cloud->instances);
    json_decref(cloud->images);
    *cloud = (struct clean_cloud){NULL, NULL, NULL, NULL};
}
