/* SPDX-License-Identifier: Apache-2.0 */
/* See branch_relink.h. */
#include "domain/branch_relink.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "common/same_file.h"
#include "common/secret.h"
#include "domain/merge_relink.h"
#include "domain/new_layer.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/connection.h"

/* The layer of that chain which stands on `below`. */
static size_t find_above(const struct layer_map *map, size_t file, size_t below)
{
    for (size_t depth = 0; file != LAYER_MAP_NONE && depth < map->file_count; depth++) {
        if (map->files[file].below == below)
            return file;
        file = map->files[file].below;
    }
    return LAYER_MAP_NONE;
}

/* First of all what the guest goes on in. */
static size_t find_stand_in(const struct branch_view *view, size_t below)
{
    size_t found = LAYER_MAP_NONE;
    for (size_t i = 0; i < view->map->name_count; i++) {
        const struct layer_name *name = &view->map->names[i];
        size_t file = find_above(view->map, name->file, below);
        if (file == LAYER_MAP_NONE || !name->is_own || !branch_need_counts(view, name))
            continue;
        if (found == LAYER_MAP_NONE || name->kind == LAYER_NAME_DISK)
            found = file;
    }
    return found;
}

static int name_new(const char *from, const char *stamp, char ret_path[static DRIVER_PATH_MAX],
                    struct error *err)
{
    struct stat st;
    int n = snprintf(ret_path, DRIVER_PATH_MAX, "%s-%s", from, stamp);
    const char *slash = n > 0 && n < DRIVER_PATH_MAX ? strrchr(ret_path, '/') : NULL;
    if (!slash || strlen(slash + 1) > NAME_MAX)
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s-%s is too long", from, stamp);
    return lstat(ret_path, &st) < 0 && errno == ENOENT
               ? 0
               : error_set(err, EEXIST, EXC_INTERNAL_ERROR, "%s is there already", ret_path);
}

static int add_relink(const struct branch_view *view, const struct layer_name *name,
                      const char *stamp, json_t *relinks, struct error *err)
{
    const struct layer_map *map = view->map;
    const struct layer_file *from = &map->files[name->file];
    const struct layer_file *base = &map->files[from->below];
    size_t stand_in = find_stand_in(view, from->below);
    bool is_new = stand_in == LAYER_MAP_NONE;
    char path[DRIVER_PATH_MAX];
    int r = is_new ? name_new(from->path, stamp, path, err) : 0;
    if (r < 0)
        return r;
    json_t *relink = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "snapshot", name->snapshot, "from",
                               from->path, "to", is_new ? path : map->files[stand_in].path, "base",
                               base->path, "format", base->format, "is_new", is_new);
    return json_array_append_new(relinks, relink) < 0 ? error_nomem(err) : 0;
}

int branch_relink_plan(const struct branch_view *view, const char *stamp, json_t **ret_relinks,
                       struct error *err)
{
    json_t *relinks = json_array();
    int r = relinks ? 0 : error_nomem(err);
    for (size_t i = 0; r == 0 && i < view->map->name_count; i++) {
        const struct layer_name *name = &view->map->names[i];
        if (name->is_own && name->kind == LAYER_NAME_OVERLAY && view->is_gone[name->file] &&
            !branch_need_is_deleted(view, name))
            r = add_relink(view, name, stamp, relinks, err);
    }
    if (r == 0)
        *ret_relinks = relinks;
    else
        json_decref(relinks);
    return r;
}

static const char *text_of(const json_t *relink, const char *key)
{
    const char *text = json_string_member(relink, key);
    return text ? text : "";
}

/* One that was made whole is given away once more. */
static int make_layer(const json_t *relink, struct error *err)
{
    const char *path = text_of(relink, "to"), *base = text_of(relink, "base");
    struct stat st;
    if (new_layer_is_on(path, base)) {
        int r = new_layer_give_owner(path, base, err);
        return r < 0 ? r : new_layer_sync_folder(path, err);
    }
    if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && unlink(path) < 0)
        return error_errno(err, errno, "cannot remove %s", path);
    return new_layer_create(path, base, text_of(relink, "format"), err);
}

int branch_relink_make(const json_t *relinks, struct error *err)
{
    const json_t *relink;
    size_t i;
    json_array_foreach (relinks, i, relink) {
        int r = json_is_true(json_object_get(relink, "is_new")) ? make_layer(relink, err) : 0;
        if (r < 0)
            return r;
        failpoint("branch:layer-made");
    }
    return 0;
}

static bool relink_disk(const xmlNode *disk, const json_t *relinks)
{
    char path[DRIVER_PATH_MAX];
    xmlNode *source = xml_node_child_named(disk, "source");
    const json_t *relink;
    size_t i;
    if (!xml_node_copy_attribute(source, "file", path, sizeof(path)) || path[0] != '/')
        return false;
    json_array_foreach (relinks, i, relink) {
        if (!same_file(path, text_of(relink, "from")))
            continue;
        (void)xmlSetProp(source, (const xmlChar *)"file", (const xmlChar *)text_of(relink, "to"));
        return true;
    }
    return false;
}

int branch_relink_xml(const char *xml, const json_t *relinks, char **ret_xml, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlChar *text = NULL;
    int size = 0, r = xml_node_parse(xml, "domainsnapshot", &document, err);
    if (r < 0)
        return r;
    const xmlNode *disks = xml_node_child_named(xmlDocGetRootElement(document), "disks");
    bool is_changed = false;
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        is_changed |= relink_disk(disk, relinks);
    if (is_changed)
        xmlDocDumpMemory(document, &text, &size);
    *ret_xml = text ? strdup((const char *)text) : NULL;
    secret_free((char *)text);
    return is_changed && !*ret_xml ? error_nomem(err) : 0;
}

static int relink_snapshot(virDomainPtr domain, const char *name, const json_t *relinks,
                           struct error *err)
{
    char *wanted = NULL;
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name, 0);
    if (!snapshot)
        return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT
                   ? 0
                   : libvirt_error(err, "cannot look for checkpoint %s", name);
    char *now = virDomainSnapshotGetXMLDesc(snapshot, VIR_DOMAIN_SNAPSHOT_XML_SECURE);
    int r = now ? branch_relink_xml(now, relinks, &wanted, err)
                : libvirt_error(err, "cannot read checkpoint %s", name);
    if (r == 0 && wanted)
        r = merge_relink_redefine(domain, snapshot, wanted, err);
    (void)virDomainSnapshotFree(snapshot);
    secret_free(now);
    secret_free(wanted);
    return r;
}

int branch_relink_snapshots(virDomainPtr domain, const json_t *relinks, struct error *err)
{
    const json_t *relink;
    size_t i;
    json_array_foreach (relinks, i, relink) {
        int r = relink_snapshot(domain, text_of(relink, "snapshot"), relinks, err);
        if (r < 0)
            return r;
    }
    return 0;
}
