/* SPDX-License-Identifier: Apache-2.0 */
/* See disk_layers.h. */
#include "domain/disk_layers.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "driver/definition/domain_description.h"
#include "driver/definition/xml_node.h"

static int add_layer(json_t *layers, const char *disk, const char *path, bool is_top,
                     struct error *err)
{
    struct stat st;
    if (path[0] != '/')
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is neither a file nor a device: nobody could tell whether it "
                         "has changed",
                         disk);
    bool is_device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);
    json_t *layer = json_pack("{s:s, s:s, s:b, s:b}", "disk", disk, "path", path, "is_top", is_top,
                              "is_device", is_device);
    return json_array_append_new(layers, layer) < 0 ? error_nomem(err) : 0;
}

static int add_disk(json_t *layers, const struct domain_disk *disk, struct error *err)
{
    int r = 0;
    if (disk->problem)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "disk %s: %s", disk->target,
                         disk->problem);
    if (!disk->is_hard_disk && disk->layers[0].path[0] == '\0') /* no medium */
        return 0;
    for (size_t i = 0; r == 0 && i < disk->layer_count; i++)
        r = add_layer(layers, disk->target, disk->layers[i].path, i == 0, err);
    return r;
}

static int check_not_shared(const xmlNode *devices, struct error *err)
{
    char target[DRIVER_FORMAT_MAX];
    for (xmlNode *disk = xml_node_child_named(devices, "disk"); disk;
         disk = xml_node_next_named(disk->next, "disk")) {
        if (!xml_node_child_named(disk, "shareable"))
            continue;
        (void)xml_node_copy_attribute(xml_node_child_named(disk, "target"), "dev", target,
                                      sizeof(target));
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "disk %s is shared with others, who may write to it", target);
    }
    return 0;
}

/* <nvram>FILE</nvram>, or with a <source> from libvirt 8.5 on. */
static int add_nvram(json_t *layers, const xmlNode *root, struct error *err)
{
    char file[DRIVER_PATH_MAX] = "";
    xmlNode *nvram = xml_node_child_named(xml_node_child_named(root, "os"), "nvram");
    if (!nvram)
        return 0;
    if (xml_node_child_named(nvram, "source")) {
        (void)xml_node_copy_attribute(xml_node_child_named(nvram, "source"), "file", file,
                                      sizeof(file));
        return add_layer(layers, "nvram", file, true, err);
    }
    xmlChar *text = xmlNodeGetContent(nvram);
    int r = text ? add_layer(layers, "nvram", (const char *)text, true, err) : error_nomem(err);
    xmlFree(text);
    return r;
}

static int list_layers(const struct domain_description *description, const char *xml,
                       json_t *layers, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r == 0)
        r = check_not_shared(devices, err);
    for (size_t i = 0; r == 0 && i < description->disk_count; i++)
        r = add_disk(layers, &description->disks[i], err);
    return r < 0 ? r : add_nvram(layers, xmlDocGetRootElement(document), err);
}

int disk_layers_list(const char *xml, json_t **ret_layers, struct error *err)
{
    struct domain_description *description = NULL;
    json_t *layers = json_array();
    int r = layers ? domain_description_parse(xml, &description, err) : error_nomem(err);
    if (r == 0)
        r = list_layers(description, xml, layers, err);
    domain_description_free(description);
    if (r < 0) {
        json_decref(layers);
        return r;
    }
    *ret_layers = layers;
    return 0;
}

const char *disk_layers_device(const json_t *layers)
{
    const json_t *layer;
    size_t i;
    json_array_foreach (layers, i, layer) {
        if (json_is_true(json_object_get(layer, "is_device")))
            return json_string_member(layer, "disk");
    }
    return NULL;
}

static bool is_known(const json_t *layer, const json_t *known)
{
    const json_t *other;
    size_t i;
    json_array_foreach (known, i, other) {
        if (json_is_true(json_object_get(other, "is_top")) &&
            json_equal(json_object_get(layer, "disk"), json_object_get(other, "disk")) &&
            json_equal(json_object_get(layer, "path"), json_object_get(other, "path")))
            return true;
    }
    return false;
}

int disk_layers_check_known(const json_t *layers, const json_t *known, struct error *err)
{
    const json_t *layer;
    size_t i;
    json_array_foreach (layers, i, layer) {
        if (json_is_true(json_object_get(layer, "is_top")) && !is_known(layer, known))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                             "disk %s is to be %s, which the guest was not saved with",
                             json_string_value(json_object_get(layer, "disk")),
                             json_string_value(json_object_get(layer, "path")));
    }
    return 0;
}
