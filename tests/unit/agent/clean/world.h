/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of agent/clean/run.h looks at: folders, guests, a journal, Nova and Glance. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/clean/look.h"
#include "agent/clean/storage.h"
#include "agent/conductor.h"
#include "agent/instance_queue.h"
#include "common/keystone.h"
#include "conf/conf.h"
#include "glance_client/glance.h"
#include "tests/unit/agent/state_dir.h"
#include "tests/unit/fake_driver.h"

#define NOVAS "tmpab12_xyz"
#define THEIRS "nova-snapshot-0123456789abcdef0123456789abcdef"
#define FILE_NAME "fedcba9876543210fedcba9876543210"

static char clean_host[] = "cmp1";

static struct {
    struct conf conf;
    struct agent agent;
    struct fake_script script;
    char parent[128];
    char ours[64]; /* what the agent calls a folder of its own */
    struct driver_file files[4];
    char paths[4][256];
    struct clean_look look;
    json_t *instances, *images;
    const char *role; /* in which Glance is asked; NULL: admin */
    bool is_shared;
    char story[512];
    struct error fail_list;
} clean_world;

int __wrap_keystone_session_context(struct keystone_session *session, unsigned timeout_ms,
                                    struct request_context **ret_context, struct error *err);
int __wrap_keystone_session_context(struct keystone_session *session, unsigned timeout_ms,
                                    struct request_context **ret_context, struct error *err)
{
    (void)session, (void)timeout_ms;
    json_t *values = json_pack("{s:s, s:[s, s]}", "auth_token", "a-token", "roles", "service",
                               clean_world.role ? clean_world.role : "admin");
    int r = request_context_from_values(values, ret_context, err);
    json_decref(values);
    return r;
}

/* Whether others may use the disk this test runs on. */
int __wrap_clean_storage_check_local(int fd, struct error *err);
int __wrap_clean_storage_check_local(int fd, struct error *err)
{
    assert_true(fd >= 0);
    return clean_world.is_shared ? error_set(err, EREMOTE, EXC_INTERNAL_ERROR, "it is a share") : 0;
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
    size_t i;
    json_t *image;
    (void)glance, (void)context, (void)timeout_ms;
    json_array_foreach (clean_world.images, i, image) {
        if (strcmp(json_string_value(json_object_get(image, "id")), image_id) == 0) {
            ret_image->object = json_incref(image);
            return 0;
        }
    }
    return error_set(err, ENOENT, EXC_IMAGE_NOT_FOUND, "it is not there");
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

/* That a host with this list of users has the folder. */
static void clean_world_write_users(const char *text)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/compute_nodes", clean_world.parent);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* All that is there was made long before the agent that runs, and that before nova-compute. */
static int clean_world_set_up(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    char mark[HOST_KEY_MARK_SIZE];
    memset(&clean_world, 0, sizeof(clean_world));
    state_dir_make();
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
    clean_world_write_users("{\"cmp1\": 1.0}");
    clean_world.agent.key = (struct host_key){.known = true, .bytes = "a secret"};
    assert_true(host_key_mark(&clean_world.agent.key, HOST_KEY_STAGING, mark));
    (void)snprintf(clean_world.ours, sizeof(clean_world.ours),
                   "nova-snapshot-%.16s0123456789abcdef", mark);
    struct clean_clock begun = clean_look_clock();
    begun.files += 100;
    begun.now_ms += 100000;
    clean_world.look = (struct clean_look){.agent = &clean_world.agent, .begun = begun};
    clean_world.look.nova =
        (struct clean_process){true, 4711, begun.files + 100, begun.now_ms + 100000};
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
        fail_msg("%s: verdict %u, %s %s", item->what, item->verdict, item->why, item->failure);
}
