/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of agent/clean.h looks at: folders, guests, a journal, Nova and Glance. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/clean_look.h"
#include "agent/conductor.h"
#include "agent/instance_queue.h"
#include "bus_state.h"
#include "common/keystone.h"
#include "conf/conf.h"
#include "glance_client/glance.h"
#include "state_dir.h"
#include "tests/unit/fake_driver.h"

#define NOVAS "tmpab12_xyz"
#define OURS "nova-snapshot-0123456789abcdef0123456789abcdef"
#define FILE_NAME "fedcba9876543210fedcba9876543210"

static char clean_host[] = "cmp1";

static struct {
    struct conf conf;
    struct agent agent;
    struct fake_script script;
    char parent[128];
    struct driver_file files[4];
    char paths[4][256];
    struct clean_look look;
    json_t *instances, *images;
    const char *status_now; /* of images when they are looked at again; NULL: queued */
    char story[512];
    struct error fail_list;
} clean_world;

int __wrap_keystone_session_get_token(struct keystone_session *session, char **ret_token,
                                      struct error *err);
int __wrap_keystone_session_get_token(struct keystone_session *session, char **ret_token,
                                      struct error *err)
{
    (void)session, (void)err;
    *ret_token = strdup("a-token");
    return 0;
}

int __wrap_conductor_instance_list(struct bus *bus, const struct request_context *context,
                                   const char *host, json_t **ret_instances, struct error *err);
int __wrap_conductor_instance_list(struct bus *bus, const struct request_context *context,
                                   const char *host, json_t **ret_instances, struct error *err)
{
    (void)bus, (void)context;
    assert_string_equal(host, clean_host);
    if (clean_world.fail_list.errnum != 0) {
        *err = clean_world.fail_list;
        return -err->errnum;
    }
    *ret_instances = json_incref(clean_world.instances);
    return 0;
}

int __wrap_conductor_instance_save(struct bus *bus, const struct request_context *context,
                                   struct instance *instance, json_t *changes,
                                   json_t *expected_task_state, struct error *err);
int __wrap_conductor_instance_save(struct bus *bus, const struct request_context *context,
                                   struct instance *instance, json_t *changes,
                                   json_t *expected_task_state, struct error *err)
{
    size_t used = strlen(clean_world.story);
    (void)bus, (void)context, (void)err;
    assert_true(json_is_null(json_object_get(changes, "task_state")));
    const json_t *progress = json_object_get(changes, "progress");
    assert_int_equal(json_object_size(changes), progress ? 2 : 1);
    assert_int_equal(json_integer_value(progress), 0);
    (void)snprintf(clean_world.story + used, sizeof(clean_world.story) - used, "clear:%s:%s%s ",
                   instance->uuid, json_string_value(json_array_get(expected_task_state, 0)),
                   progress ? ":progress" : "");
    return 0;
}

int __wrap_glance_image_list(struct glance *glance, const struct request_context *context,
                             const json_t *filters, json_t **ret_objects, struct error *err);
int __wrap_glance_image_list(struct glance *glance, const struct request_context *context,
                             const json_t *filters, json_t **ret_objects, struct error *err)
{
    size_t i;
    json_t *image;
    (void)glance, (void)err;
    assert_string_equal(context->auth_token, "a-token");
    *ret_objects = json_array();
    json_t *wanted = json_copy((json_t *)(uintptr_t)filters);
    json_array_foreach (clean_world.images, i, image) {
        const char *key;
        json_t *value;
        bool matches = true;
        json_object_foreach (wanted, key, value) {
            matches = matches && json_equal(json_object_get(image, key), value);
        }
        if (matches)
            (void)json_array_append(*ret_objects, image);
    }
    json_decref(wanted);
    return 0;
}

int __wrap_glance_image_peek(struct glance *glance, const struct request_context *context,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err);
int __wrap_glance_image_peek(struct glance *glance, const struct request_context *context,
                             const char *image_id, unsigned timeout_ms,
                             struct glance_image *ret_image, struct error *err)
{
    (void)glance, (void)context, (void)image_id, (void)timeout_ms, (void)err;
    ret_image->status = strdup(clean_world.status_now ? clean_world.status_now : "queued");
    return 0;
}

int __wrap_glance_image_delete(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct error *err);
int __wrap_glance_image_delete(struct glance *glance, const struct request_context *context,
                               const char *image_id, struct error *err)
{
    size_t used = strlen(clean_world.story);
    (void)glance, (void)context, (void)err;
    (void)snprintf(clean_world.story + used, sizeof(clean_world.story) - used, "delete:%s ",
                   image_id);
    return 0;
}

/* All that is there was made long before the nova-compute and the agent that run. */
static int clean_world_set_up(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    memset(&clean_world, 0, sizeof(clean_world));
    state_dir_make();
    bus_state.connected = bus_state.attached = true;
    (void)snprintf(clean_world.parent, sizeof(clean_world.parent), "%s/snapshots", state_dir.path);
    assert_int_equal(mkdir(clean_world.parent, 0755), 0);
    clean_world.conf.DEFAULT.host = clean_host;
    clean_world.conf.DEFAULT.instances_path = clean_world.parent;
    clean_world.conf.libvirt.snapshots_directory = clean_world.parent;
    clean_world.agent = (struct agent){.conf = &clean_world.conf,
                                       .journal = state_dir.journal,
                                       .own_session = (struct keystone_session *)&clean_world};
    clean_world.instances = json_array();
    clean_world.images = json_array();
    clean_world.script.files = clean_world.files;
    assert_int_equal(instance_queue_new(&clean_world.agent.instance_queue, &err), 0);
    assert_int_equal(fake_driver_new(&clean_world.script, &clean_world.agent.driver, &err), 0);
    clean_world.look = (struct clean_look){.agent = &clean_world.agent,
                                           .agent_since = time(NULL) + 100,
                                           .nova = {CLEAN_PROCESS_RUNS, time(NULL) + 100}};
    return 0;
}

static int clean_world_tear_down(void **state)
{
    char command[160];
    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", clean_world.parent);
    assert_int_equal(system(command), 0);
    clean_list_done(&clean_world.look.list);
    json_decref(clean_world.instances);
    json_decref(clean_world.images);
    driver_free(clean_world.agent.driver);
    instance_queue_free(clean_world.agent.instance_queue);
    (void)state_dir_remove();
    return 0;
}

/* The only item of this kind. */
__attribute__((unused)) static const struct clean_item *clean_world_item(enum clean_kind kind)
{
    const struct clean_list *list = &clean_world.look.list;
    const struct clean_item *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind != kind)
            continue;
        assert_null(found);
        found = &list->items[i];
    }
    assert_non_null(found);
    return found;
}

__attribute__((unused)) static void clean_world_is(enum clean_kind kind, enum clean_verdict verdict,
                                                   const char *words)
{
    const struct clean_item *item = clean_world_item(kind);
    if (item->verdict != verdict || !strstr(item->why, words))
        fail_msg("%s: verdict %d, %s %s", item->what, item->verdict, item->why, item->failure);
}
