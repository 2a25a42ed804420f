/* SPDX-License-Identifier: Apache-2.0 */
/* See merge_chain.h. */
#include "domain/merge_chain.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/same_file.h"
#include "domain/backing_name.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"
#include "driver/image/qemu_img.h"
#include "driver/libvirt/domain.h"

const char *merge_chain_path(const json_t *file)
{
    const char *path = json_string_member(file, "path");
    return path ? path : "";
}

/* NULL: it may be merged, or be merged into. */
static const char *problem_of(const char *path, const char *format, const struct stat *st,
                              const struct qemu_img_info *info)
{
    struct stat link;
    if (!S_ISREG(st->st_mode))
        return "it is no plain file";
    if (lstat(path, &link) < 0 || S_ISLNK(link.st_mode))
        return "it is called by a link";
    if (strcmp(format, "qcow2") != 0 && strcmp(format, "raw") != 0)
        return "it is neither qcow2 nor raw";
    if (info->has_data_file)
        return "its data is in another file";
    if (info->is_encrypted)
        return "it is encrypted";
    if (info->has_snapshots)
        return "there are internal snapshots in it";
    return info->has_bitmaps
               ? "there are bitmaps of increments in it: `virsh checkpoint-delete` removes "
                 "those that libvirt knows of, `qemu-img bitmap --remove` others, while nobody "
                 "uses it"
               : NULL;
}

static int look(const char *path, const char *format, struct qemu_img_info *ret_info,
                json_t **ret_file, struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "cannot look at %s", path);
    if (format[0] == '\0')
        return error_set(err, EINVAL, EXC_INVALID_DISK_INFO, "nothing says of which format %s is",
                         path);
    int r = qemu_img_info(path, format, ret_info, err);
    if (r < 0)
        return r;
    *ret_file = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s*}", "path", path, "format",
                          format, "dev", (json_int_t)st.st_dev, "ino", (json_int_t)st.st_ino,
                          "written_s", (json_int_t)st.st_mtim.tv_sec, "size_bytes",
                          (json_int_t)ret_info->virtual_size_bytes, "allocated_bytes",
                          (json_int_t)st.st_blocks * 512, "problem",
                          problem_of(path, format, &st, ret_info));
    return *ret_file ? 0 : error_nomem(err);
}

int merge_chain_look(const char *path, const char *format, json_t **ret_file, struct error *err)
{
    struct qemu_img_info info = {0};
    return look(path, format, &info, ret_file, err);
}

/* What the headers tell, from the top on down. */
static int follow_headers(const struct disk_layer *top, json_t *chain, struct error *err)
{
    char path[DRIVER_PATH_MAX], format[DRIVER_FORMAT_MAX];
    (void)snprintf(path, sizeof(path), "%s", top->path);
    (void)snprintf(format, sizeof(format), "%s", top->format);
    while (path[0] != '\0') {
        struct qemu_img_info info = {0};
        json_t *file = NULL;
        char below[DRIVER_PATH_MAX] = "";
        if (json_array_size(chain) == DISK_LAYERS_MAX)
            return error_set(err, E2BIG, EXC_INVALID_DISK_INFO, "%s has more than %d layers",
                             top->path, DISK_LAYERS_MAX);
        int r = look(path, format, &info, &file, err);
        if (r < 0)
            return r;
        if (json_array_append_new(chain, file) < 0)
            return error_nomem(err);
        if (info.backing_path[0] != '\0')
            r = backing_name_path(info.backing_path, path, below, err);
        if (r < 0)
            return r;
        (void)snprintf(path, sizeof(path), "%s", below);
        (void)snprintf(format, sizeof(format), "%s", info.backing_format);
    }
    return 0;
}

/* libvirt has read the headers when the guest was started, and knows what was done since. */
static bool is_as_libvirt_has_it(const struct domain_disk *disk, const json_t *chain)
{
    size_t count = json_array_size(chain);
    if (!disk->chain_known || disk->layer_count < count)
        return false;
    for (size_t i = 0; i < disk->layer_count; i++) {
        const char *path = disk->layers[i].path;
        if (i < count ? !same_file(path, merge_chain_path(json_array_get(chain, i)))
                      : path[0] == '/')
            return false;
    }
    return true;
}

/* Of the <disk> itself; NULL: it may be merged. */
static const char *reason_against(const char *xml, const struct domain_disk *disk)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    struct error ignored = ERROR_INIT;
    if (disk->problem)
        return disk->problem;
    if (!disk->is_hard_disk || disk->layers[0].path[0] != '/')
        return "it is no hard disk in a file";
    if (disk->layers[0].encrypted)
        return "it is encrypted";
    if (xml_node_parse_domain(xml, &document, &devices, &ignored) < 0)
        return "its definition cannot be read";
    for (xmlNode *element = xml_node_child_named(devices, "disk"); element;
         element = xml_node_next_named(element->next, "disk")) {
        if (!xml_node_attribute_is(xml_node_child_named(element, "target"), "dev", disk->target))
            continue;
        if (!xml_node_attribute_is(element, "type", "file"))
            return "it is no file";
        if (xml_node_child_named(element, "shareable") || xml_node_child_named(element, "readonly"))
            return "it is shared, or read-only";
        if (xml_node_child_named(element, "transient"))
            return "its writes are thrown away (<transient/>)";
    }
    return NULL;
}

static int read_chain(const char *xml, const struct domain_disk *disk, bool is_active,
                      json_t *chain, struct error *err)
{
    const char *reason = reason_against(xml, disk);
    if (reason)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s", disk->target, reason);
    int r = follow_headers(&disk->layers[0], chain, err);
    if (r < 0 || !is_active || is_as_libvirt_has_it(disk, chain))
        return r;
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "disk %s: the layers that libvirt knows of are not those that the files' "
                     "headers name: they can be merged when the guest is stopped",
                     disk->target);
}

int merge_chain_read(virDomainPtr domain, const char *target, json_t **ret_chain, struct error *err)
{
    cleanup_free char *xml = NULL;
    struct domain_description *description = NULL;
    json_t *chain = json_array();
    int r = chain ? libvirt_domain_xml(domain, &xml, err) : error_nomem(err);
    if (r == 0)
        r = domain_description_parse(xml, &description, err);
    const struct domain_disk *disk = r == 0 ? domain_description_disk(description, target) : NULL;
    if (r == 0 && !disk)
        r = error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the domain has no disk %s any more",
                      target);
    if (r == 0)
        r = read_chain(xml, disk, virDomainIsActive(domain) == 1, chain, err);
    domain_description_free(description);
    if (r == 0)
        *ret_chain = json_incref(chain);
    json_decref(chain);
    return r;
}

bool merge_chain_is_same(const json_t *a, const json_t *b, bool host_rebooted)
{
    bool is_same_dev = json_equal(json_object_get(a, "dev"), json_object_get(b, "dev"));
    bool is_same_path = strcmp(merge_chain_path(a), merge_chain_path(b)) == 0;
    return a && b && json_equal(json_object_get(a, "ino"), json_object_get(b, "ino")) &&
           (is_same_dev || (host_rebooted && is_same_path));
}

size_t merge_chain_find(const json_t *chain, const json_t *file, bool host_rebooted)
{
    size_t i;
    const json_t *layer;
    json_array_foreach (chain, i, layer) {
        if (merge_chain_is_same(layer, file, host_rebooted))
            return i;
    }
    return SIZE_MAX;
}
