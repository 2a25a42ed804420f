/* SPDX-License-Identifier: Apache-2.0 */
/* See internal_delete.h. */
#include "domain/internal_delete.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/json.h"
#include "domain/layer_map.h"
#include "domain/merge_chain.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/domain.h"

#define CREATED_SIZE 32

static int refuse(struct error *err, const char *target, const char *why)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s", target, why);
}

static bool takes_part(const xmlNode *root, const char *target)
{
    const xmlNode *disks = xml_node_child_named(root, "disks");
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        if (xml_node_attribute_is(disk, "name", target) &&
            xml_node_attribute_is(disk, "snapshot", "internal"))
            return true;
    return false;
}

/* The file the disk was then. */
static bool read_state(const xmlNode *root, const char *target,
                       char ret_path[static DRIVER_PATH_MAX])
{
    const xmlNode *devices = xml_node_child_named(xml_node_child_named(root, "domain"), "devices");
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        if (xml_node_attribute_is(xml_node_child_named(disk, "target"), "dev", target))
            return xml_node_copy_attribute(xml_node_child_named(disk, "source"), "file", ret_path,
                                           DRIVER_PATH_MAX) &&
                   ret_path[0] == '/';
    return false;
}

static int check_same_file(const xmlNode *root, const struct domain_disk *disk, struct error *err)
{
    char state[DRIVER_PATH_MAX];
    json_t *then = NULL, *now = NULL;
    if (!read_state(root, disk->target, state))
        return refuse(err, disk->target, "which file the checkpoint is in cannot be told");
    int r = merge_chain_look(state, disk->layers[0].format, &then, err);
    if (r == 0)
        r = merge_chain_look(disk->layers[0].path, disk->layers[0].format, &now, err);
    if (r == 0 && !merge_chain_is_same(then, now, false))
        r = refuse(err, disk->target,
                   "the guest goes on in another file than the checkpoint is in");
    json_decref(then);
    json_decref(now);
    return r;
}

/* Other domains that stand on the file read its clusters while libvirt gives some back. */
static int check_users(const struct layer_map *map, const char *path, struct error *err)
{
    size_t file = layer_map_find(map, path);
    for (size_t i = 0; i < map->name_count; i++)
        if (!map->names[i].is_own && layer_map_reaches(map, map->names[i].file, file))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "domain %s needs %s as well",
                             map->names[i].domain, path);
    return 0;
}

static int plan_disk(const struct layer_map *map, const char *name, const xmlNode *root,
                     const struct domain_disk *disk, json_t *disks, struct error *err)
{
    const struct disk_layer *top = &disk->layers[0];
    bool is_part = takes_part(root, disk->target);
    bool is_qcow2 = strcmp(top->format, "qcow2") == 0 && top->path[0] == '/';
    size_t count = 0;
    json_t *file = NULL;
    int r = is_qcow2 ? qemu_img_count_snapshots(top->path, name, &count, err) : 0;
    if (r < 0)
        return r;
    if (!is_part)
        return count == 0 ? 0
                          : refuse(err, disk->target,
                                   "it holds a snapshot of that name, of which the checkpoint "
                                   "does not know: libvirt would delete it as well");
    r = check_same_file(root, disk, err);
    if (r == 0 && (count != 1 || disk->problem))
        r = refuse(err, disk->target, "its file does not hold one snapshot of that name");
    if (r == 0)
        r = check_users(map, top->path, err);
    if (r == 0)
        r = merge_chain_look(top->path, top->format, &file, err);
    if (r == 0 && json_array_append_new(
                      disks, json_pack("{s:s, s:o}", "target", disk->target, "file", file)) < 0)
        r = error_nomem(err);
    return r;
}

static int read_created(const xmlNode *root, char ret_created[static CREATED_SIZE],
                        struct error *err)
{
    return xml_node_copy_child_text(root, "creationTime", ret_created, CREATED_SIZE)
               ? 0
               : error_set(err, EINVAL, EXC_INTERNAL_ERROR, "when it was made cannot be told");
}

/* Also those that have been detached since. */
static size_t count_parts(const xmlNode *root)
{
    size_t count = 0;
    const xmlNode *disks = xml_node_child_named(root, "disks");
    for (xmlNode *disk = xml_node_child_named(disks, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk"))
        count += xml_node_attribute_is(disk, "snapshot", "internal");
    return count;
}

int internal_delete_plan(const struct session *session, const char *name, const xmlNode *root,
                         json_t **ret_note, struct error *err)
{
    cleanup_layer_map struct layer_map map = {0};
    struct domain_description *description = NULL;
    char created[CREATED_SIZE];
    json_t *disks = json_array();
    int r = read_created(root, created, err);
    if (r == 0)
        r = layer_map_read(session, &map, err);
    if (r == 0)
        r = libvirt_domain_describe(session->domain, &description, err);
    for (size_t i = 0; r == 0 && i < description->disk_count; i++)
        r = plan_disk(&map, name, root, &description->disks[i], disks, err);
    domain_description_free(description);
    if (r == 0 && json_array_size(disks) != count_parts(root))
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                      "the domain no longer has all disks that checkpoint %s is in", name);
    if (r == 0)
        *ret_note =
            json_pack("{s:s, s:s, s:O}", "snapshot", name, "created", created, "disks", disks);
    json_decref(disks);
    return r < 0 || *ret_note ? r : error_nomem(err);
}

/* What is to be deleted from is still what it was planned for. */
static int check_top(const struct session *session, virDomainPtr domain, const json_t *disk,
                     struct error *err)
{
    const char *target = json_string_member(disk, "target");
    struct domain_description *description = NULL;
    json_t *now = NULL;
    int r = libvirt_domain_describe(domain, &description, err);
    if (r < 0)
        return r;
    const struct domain_disk *found = domain_description_disk(description, target ? target : "");
    r = found ? merge_chain_look(found->layers[0].path, "qcow2", &now, err) : 0;
    if (r == 0 && !merge_chain_is_same(json_object_get(disk, "file"), now,
                                       record_host_rebooted(session->record)))
        r = refuse(err, target ? target : "", "it is another file by now");
    json_decref(now);
    domain_description_free(description);
    return r;
}

/* Nothing is noted any more, so it is told of once: whoever calls again does nothing. */
static int give_up(struct record *record, struct error *err)
{
    struct error failure = ERROR_INIT;
    int r = record_restart(record, json_pack("{s:O*}", "domain", record_all(record, "domain")),
                           &failure);
    if (r < 0)
        *err = failure;
    return r < 0 ? r : -err->errnum;
}

static int check_gone(const json_t *note, struct error *err)
{
    const char *name = json_string_member(note, "snapshot");
    const json_t *disk;
    size_t i, count = 0;
    json_array_foreach (json_object_get(note, "disks"), i, disk) {
        const char *path = merge_chain_path(json_object_get(disk, "file"));
        int r = qemu_img_count_snapshots(path, name, &count, err);
        if (r < 0)
            return r;
        if (count > 0)
            return error_set(
                err, EIO, EXC_INTERNAL_ERROR,
                "libvirt has deleted checkpoint %s, but %s still holds it: remove it with "
                "`qemu-img snapshot -d` when the guest is stopped",
                name, path);
    }
    return 0;
}

static int check_created(virDomainSnapshotPtr snapshot, const json_t *note, bool *ret_is_it,
                         struct error *err)
{
    const char *of_note = json_string_member(note, "created");
    char created[CREATED_SIZE];
    cleanup_xml_document xmlDoc *document = NULL;
    cleanup_free char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    int r = xml ? xml_node_parse(xml, "domainsnapshot", &document, err)
                : libvirt_error(err, "cannot read a checkpoint");
    if (r == 0)
        r = read_created(xmlDocGetRootElement(document), created, err);
    if (r == 0)
        *ret_is_it = !of_note || strcmp(of_note, created) == 0;
    return r;
}

/* NULL, and *ret_is_later where libvirt has another of that name: it had let go of this one. */
static int find_snapshot(virDomainPtr domain, const json_t *note,
                         virDomainSnapshotPtr *ret_snapshot, bool *ret_is_later, struct error *err)
{
    const char *name = json_string_member(note, "snapshot");
    bool is_it = false;
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(domain, name ? name : "", 0);
    *ret_snapshot = NULL;
    *ret_is_later = false;
    if (!snapshot)
        return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN_SNAPSHOT
                   ? 0
                   : libvirt_error(err, "cannot look for checkpoint %s", name ? name : "");
    int r = check_created(snapshot, note, &is_it, err);
    if (r == 0 && is_it) {
        *ret_snapshot = snapshot;
        return 0;
    }
    (void)virDomainSnapshotFree(snapshot);
    *ret_is_later = r == 0;
    return r;
}

/* A call of before that is still under way holds libvirt's lock: this one waits for it. */
static int delete_snapshot(const struct session *session, virDomainPtr domain, const json_t *note,
                           bool *ret_is_later, struct error *err)
{
    const char *name = json_string_member(note, "snapshot");
    const json_t *disk;
    size_t i;
    virDomainSnapshotPtr snapshot = NULL;
    int r = find_snapshot(domain, note, &snapshot, ret_is_later, err);
    if (!snapshot)
        return r;
    json_array_foreach (json_object_get(note, "disks"), i, disk) {
        if (r == 0)
            r = check_top(session, domain, disk, err);
    }
    if (r == 0)
        r = record_note(session->record, "deleting", json_true(), err);
    failpoint("delete:internal-begun");
    if (r == 0 && virDomainSnapshotDelete(snapshot, 0) < 0 &&
        virGetLastErrorCode() != VIR_ERR_NO_DOMAIN_SNAPSHOT)
        r = libvirt_error(err, "libvirt does not delete checkpoint %s", name);
    (void)virDomainSnapshotFree(snapshot);
    return r;
}

/* After a failure: libvirt knows it, and each file has it. */
static bool is_untouched(virDomainPtr domain, const json_t *note)
{
    const char *name = json_string_member(note, "snapshot");
    struct error ignored = ERROR_INIT;
    const json_t *disk;
    size_t i, count = 0;
    virDomainSnapshotPtr snapshot = NULL;
    bool is_later = false;
    bool is_known = find_snapshot(domain, note, &snapshot, &is_later, &ignored) == 0 && snapshot;
    if (snapshot)
        (void)virDomainSnapshotFree(snapshot);
    json_array_foreach (json_object_get(note, "disks"), i, disk) {
        const char *path = merge_chain_path(json_object_get(disk, "file"));
        if (qemu_img_count_snapshots(path, name ? name : "", &count, &ignored) < 0 || count != 1)
            return false;
    }
    return is_known;
}

int internal_delete_run(struct session *session, struct error *err)
{
    cleanup_domain virDomainPtr domain = NULL;
    bool is_active = false, is_later = false;
    const json_t *note = json_array_get(record_all(session->record, "delete"), 0);
    int r = libvirt_domain_find_again(session->driver->connection, session->uuid, &domain,
                                      &is_active, err);
    if (r == 0 && !domain)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_FOUND,
                         "the domain has gone: what its checkpoint is in stays");
    if (r < 0)
        return r;
    r = delete_snapshot(session, domain, note, &is_later, err);
    failpoint("delete:internal-done");
    if (r < 0)
        return is_untouched(domain, note) ? give_up(session->record, err) : r;
    if (is_later)
        return 0; /* what a file holds of that name is the later one's */
    r = check_gone(note, err);
    return r == -EIO ? give_up(session->record, err) : r;
}

bool internal_delete_has_begun(const struct session *session)
{
    return json_array_size(record_all(session->record, "deleting")) > 0;
}
