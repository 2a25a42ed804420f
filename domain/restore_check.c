/* SPDX-License-Identifier: Apache-2.0 */
/* That a saved guest's disks are those it was saved with. */
#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "domain/disk_fingerprint.h"
#include "domain/disk_layers.h"
#include "domain/layer_map.h"
#include "domain/restore_int.h"
#include "domain/save_record.h"
#include "driver/definition/domain_description.h"
#include "driver/libvirt/domain.h"

static int describe_memory(const struct restoring *restoring, json_t **ret_memory,
                           struct error *err)
{
    const char *file = restoring->request->file;
    return file ? save_record_describe_memory(file, ret_memory, err)
                : save_record_describe_kept(restoring->session, ret_memory, err);
}

/* That it is the record of this very memory; of one that libvirt keeps it may not be known. */
static int check_memory(const struct restoring *restoring, struct error *err)
{
    json_t *memory = NULL;
    const json_t *known = json_object_get(restoring->record, "memory");
    const char *uuid = json_string_member(restoring->record, "uuid");
    bool is_it = uuid && strcmp(uuid, restoring->session->uuid) == 0;
    int r = is_it ? describe_memory(restoring, &memory, err) : 0;
    if (r < 0)
        return r;
    is_it =
        is_it && (json_equal(memory, known) || (!restoring->request->file && (!memory || !known)));
    json_decref(memory);
    return is_it ? 0
                 : error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "%s is the record of another saved memory", restoring->path);
}

/* What the running guest alone had, or a medium, is in no definition: its fingerprint tells. */
static bool is_defined(const struct domain_description *definition, const char *target)
{
    const struct domain_disk *disk =
        definition ? domain_description_disk(definition, target) : NULL;
    return disk && disk->is_hard_disk;
}

/* That the domain's disks are still the layers it was saved on, and no layer stands on one. */
static int check_layer(const struct layer_map *map, const struct domain_description *definition,
                       const char *disk, const char *path, struct error *err)
{
    size_t file = layer_map_find(map, path);
    bool is_disk = !is_defined(definition, disk);
    for (size_t i = 0; file != LAYER_MAP_NONE && i < map->name_count; i++) {
        const struct layer_name *name = &map->names[i];
        if (name->file != file && layer_map_reaches(map, name->file, file)) {
            char holder[LAYER_MAP_HOLDER_MAX];
            layer_map_name_holder(name, holder, sizeof(holder));
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "on disk %s (%s) stands another layer now, which %s needs", disk, path,
                             holder);
        }
        is_disk |= name->file == file && name->is_own && name->kind == LAYER_NAME_DISK;
    }
    return is_disk
               ? 0
               : error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                           "disk %s is another file than %s now, as after a revert", disk, path);
}

/* NULL: libvirt knows no such domain. */
static int read_definition(const struct session *session,
                           struct domain_description **ret_definition, struct error *err)
{
    cleanup_free char *xml = NULL;
    int r = session->domain ? libvirt_domain_xml(session->domain, &xml, err) : 0;
    return r == 0 && xml ? domain_description_parse(xml, ret_definition, err) : r;
}

static int check_users(const struct restoring *restoring, const json_t *layers, struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    struct domain_description *definition = NULL;
    const json_t *layer;
    size_t i;
    int r = layer_map_read(restoring->session, &map, err);
    if (r == 0)
        r = read_definition(restoring->session, &definition, err);
    json_array_foreach (layers, i, layer) {
        const char *disk = json_string_member(layer, "disk");
        const char *path = json_string_member(layer, "path");
        bool is_disk = json_is_true(json_object_get(layer, "is_top")) && disk && path &&
                       strcmp(disk, "nvram") != 0;
        if (r == 0 && is_disk)
            r = check_layer(&map, definition, disk, path, err);
    }
    domain_description_free(definition);
    return r;
}

/* All but what the layers hold. */
static int check_layers(const struct restoring *restoring, struct error *err)
{
    const json_t *known = json_object_get(restoring->record, "layers");
    const char *unknown = json_string_member(restoring->record, "unknown");
    json_t *layers = NULL;
    int r = unknown ? error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                                "what the disks were when it was saved is not known: %s", unknown)
                    : check_memory(restoring, err);
    if (r == 0)
        r = disk_layers_list(restoring->xml, &layers, err);
    if (r == 0)
        r = disk_layers_check_known(layers, known, err);
    if (r == 0)
        r = check_users(restoring, layers, err);
    json_decref(layers);
    return r;
}

/* Without what their content was, which is not to be read again; nothing tells of devices else. */
static int look(const json_t *layers, json_t **ret_seen, struct error *err)
{
    json_t *files = json_array(), *layer;
    const json_t *known;
    size_t i;
    json_array_foreach (layers, i, known) {
        if (!json_is_true(json_object_get(known, "is_device")))
            (void)json_array_append_new(files, json_deep_copy(known));
    }
    json_array_foreach (files, i, layer)
        (void)json_object_del(layer, "sha256");
    int r = disk_fingerprint_take(files, false, NULL, ret_seen, err);
    json_decref(files);
    return r;
}

int restore_check_disks(struct restoring *restoring, struct error *err)
{
    const json_t *known = json_object_get(restoring->record, "layers");
    int r = check_layers(restoring, err);
    if (r == 0)
        r = look(known, &restoring->seen, err);
    return r < 0 ? r
                 : disk_fingerprint_compare(known, restoring->request->verify_disks,
                                            restoring->request->observer, err);
}

int restore_check_again(const struct restoring *restoring, struct error *err)
{
    int r = check_layers(restoring, err);
    return r < 0 ? r : disk_fingerprint_compare(restoring->seen, false, NULL, err);
}
