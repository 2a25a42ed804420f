/* SPDX-License-Identifier: Apache-2.0 */
/* See definition_merge.h. */
#include "driver/definition/definition_merge.h"

#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "driver/definition/xml_node.h"
#include "driver/driver.h"

#define KEY_MAX (DRIVER_PATH_MAX + 64)

struct merge {
    xmlDoc *saved, *before, *now;
    xmlNode *saved_devices, *before_devices, *now_devices;
    bool changed; /* `saved` is no longer what it was */
};

static void remove_node(xmlNode *node)
{
    if (!node)
        return;
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

/* The element as text; "" for NULL. Owned: xmlFree(). NULL when out of memory. */
static xmlChar *text_of(xmlNode *node)
{
    xmlChar *text = NULL;
    xmlBuffer *buffer = xmlBufferCreate();
    if (buffer && (!node || xmlNodeDump(buffer, node->doc, node, 0, 0) >= 0))
        text = xmlStrdup(xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}

static bool same_text(xmlNode *a, xmlNode *b)
{
    xmlChar *texts[] = {text_of(a), text_of(b)};
    bool same = texts[0] && texts[1] && xmlStrEqual(texts[0], texts[1]);
    xmlFree(texts[0]);
    xmlFree(texts[1]);
    return same;
}

/* What tells a device from others of its kind in every description of the guest; "": nothing. */
static void key_of(const xmlNode *device, char ret_key[static KEY_MAX])
{
    static const char *const parts[] = {"type", "domain", "bus",    "slot",       "function",
                                        "unit", "port",   "target", "controller", "base"};
    const xmlNode *address = xml_node_child_named(device, "address");
    char value[128];
    ret_key[0] = '\0';
    if (xml_node_is_element(device, "disk"))
        (void)xml_node_copy_attribute(xml_node_child_named(device, "target"), "dev", ret_key,
                                      KEY_MAX);
    else if (xml_node_is_element(device, "interface"))
        (void)xml_node_copy_attribute(xml_node_child_named(device, "mac"), "address", ret_key,
                                      KEY_MAX);
    else if (xml_node_is_element(device, "controller")) {
        char type[32], index[32];
        if (xml_node_copy_attribute(device, "type", type, sizeof(type)) &&
            xml_node_copy_attribute(device, "index", index, sizeof(index)))
            (void)snprintf(ret_key, KEY_MAX, "%s %s", type, index);
    } else if (address) {
        size_t used = 0;
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
            if (!xml_node_copy_attribute(address, parts[i], value, sizeof(value)))
                value[0] = '\0';
            used += (size_t)snprintf(ret_key + used, KEY_MAX - used, "%s ", value);
        }
    }
}

/* The device of this kind and key; NULL when there is none, or it has no key. */
static xmlNode *find_counterpart(const xmlNode *devices, const xmlNode *device)
{
    char wanted[KEY_MAX], key[KEY_MAX];
    key_of(device, wanted);
    if (wanted[0] == '\0')
        return NULL;
    for (xmlNode *other = devices->children; other; other = other->next) {
        if (!xml_node_is_element(other, (const char *)device->name))
            continue;
        key_of(other, key);
        if (strcmp(key, wanted) == 0)
            return other;
    }
    return NULL;
}

static bool has_key(const xmlNode *device)
{
    char key[KEY_MAX] = "";
    if (device->type == XML_ELEMENT_NODE)
        key_of(device, key);
    return key[0] != '\0';
}

/* Removes what is in a live description only: the index of a layer, <mirror>, the chain's end. */
static void drop_live_only(xmlNode *node)
{
    for (xmlNode *next, *child = node->children; child; child = next) {
        next = child->next;
        bool ends_chain = xml_node_is_element(child, "backingStore") &&
                          !xmlHasProp(child, (const xmlChar *)"type");
        if (ends_chain || xml_node_is_element(child, "mirror"))
            remove_node(child);
        else
            drop_live_only(child);
    }
    if (xml_node_is_element(node, "source") || xml_node_is_element(node, "backingStore"))
        (void)xmlUnsetProp(node, (const xmlChar *)"index");
}

static bool same_attribute(const xmlNode *a, const xmlNode *b, const char *name)
{
    char values[2][KEY_MAX];
    return xml_node_copy_attribute(a, name, values[0], KEY_MAX) &&
           xml_node_copy_attribute(b, name, values[1], KEY_MAX) &&
           strcmp(values[0], values[1]) == 0;
}

static bool same_child(const xmlNode *a, const xmlNode *b, const char *name)
{
    return same_text(xml_node_child_named(a, name), xml_node_child_named(b, name));
}

/* Where a disk's data is, or what network an interface is on. */
static bool same_source(const xmlNode *a, const xmlNode *b)
{
    return same_attribute(a, b, "type") && same_child(a, b, "source") &&
           same_attribute(xml_node_child_named(a, "driver"), xml_node_child_named(b, "driver"),
                          "type");
}

static void put_child(xmlNode *parent, const char *name, xmlNode *model)
{
    xmlNode *old = xml_node_child_named(parent, name);
    xmlNode *copy = model ? xmlDocCopyNode(model, parent->doc, 1) : NULL;
    if (old && copy)
        (void)xmlAddPrevSibling(old, copy);
    else if (copy)
        (void)xmlAddChild(parent, copy);
    remove_node(old);
}

static void copy_attribute(xmlNode *node, const char *name, const xmlNode *model)
{
    xmlChar *value = model ? xmlGetNoNsProp(model, (const xmlChar *)name) : NULL;
    if (node && value)
        (void)xmlSetProp(node, (const xmlChar *)name, value);
    xmlFree(value);
}

/* Of the device only what tells it from others: its definition may hold secrets. */
static void log_changed(const xmlNode *device, const char *what)
{
    char key[KEY_MAX];
    key_of(device, key);
    log_debug("the domain was changed while it was undefined: %s %s %s", (const char *)device->name,
              key, what);
}

/* As libvirt itself does with the definition of a guest that it takes an external snapshot of. */
static void change_disk(struct merge *merge, xmlNode *saved, const xmlNode *before,
                        const xmlNode *now)
{
    bool moved = !same_source(before, now);
    if (!moved && (same_child(before, now, "backingStore") ||
                   !xml_node_child_named(saved, "backingStore"))) /* which libvirt looks for then */
        return;
    put_child(saved, "backingStore", xml_node_child_named(now, "backingStore"));
    if (moved) {
        put_child(saved, "source", xml_node_child_named(now, "source"));
        copy_attribute(saved, "type", now);
        copy_attribute(xml_node_child_named(saved, "driver"), "type",
                       xml_node_child_named(now, "driver"));
    }
    merge->changed = true;
    log_changed(now, moved ? "has another source" : "has another chain");
}

static void add_device(struct merge *merge, xmlNode *device)
{
    xmlNode *copy = xmlDocCopyNode(device, merge->saved, 1);
    if (!copy)
        return;
    if (xml_node_is_element(copy, "disk")) /* libvirt finds it again */
        remove_node(xml_node_child_named(copy, "backingStore"));
    (void)xmlAddChild(merge->saved_devices, copy);
    merge->changed = true;
    log_changed(device, "has come or is another");
}

static void bring_over(struct merge *merge, xmlNode *now)
{
    xmlNode *saved = find_counterpart(merge->saved_devices, now);
    const xmlNode *before = find_counterpart(merge->before_devices, now);
    if (before && saved && xml_node_is_element(now, "disk")) {
        change_disk(merge, saved, before, now);
        return;
    }
    bool same = !xml_node_is_element(now, "interface") || (before && same_source(before, now));
    if (before && (same || !saved))
        return;
    remove_node(saved); /* the guest has another device in its place now */
    add_device(merge, now);
}

/* Another disk that `saved` has in its place is for the next start of the guest, and stays. */
static void take_away(struct merge *merge, const xmlNode *before)
{
    xmlNode *saved = find_counterpart(merge->saved_devices, before);
    if (!saved || (xml_node_is_element(before, "disk") && !same_source(saved, before)))
        return;
    remove_node(saved);
    merge->changed = true;
    log_changed(before, "has gone");
}

static void bring_all_over(struct merge *merge)
{
    for (xmlNode *device = merge->before_devices->children; device; device = device->next)
        if (has_key(device) && !find_counterpart(merge->now_devices, device))
            take_away(merge, device);
    for (xmlNode *device = merge->now_devices->children; device; device = device->next)
        if (has_key(device))
            bring_over(merge, device);
}

static int write_text(const struct merge *merge, char **ret_text, struct error *err)
{
    xmlChar *text = text_of(xmlDocGetRootElement(merge->saved));
    char *copy = text ? strdup((const char *)text) : NULL;
    if (text)
        memset(text, 0, strlen((const char *)text));
    xmlFree(text);
    if (!copy)
        return error_nomem(err);
    *ret_text = copy;
    return 0;
}

static int parse_definitions(struct merge *merge, const char *saved, const char *before,
                             const char *now, struct error *err)
{
    if (xml_node_parse_domain(saved, &merge->saved, &merge->saved_devices, err) < 0 ||
        xml_node_parse_domain(before, &merge->before, &merge->before_devices, err) < 0 ||
        xml_node_parse_domain(now, &merge->now, &merge->now_devices, err) < 0)
        return -err->errnum;
    drop_live_only(merge->before_devices);
    drop_live_only(merge->now_devices);
    return 0;
}

int definition_merge(const char *saved, const char *before, const char *now, char **ret_merged,
                     struct error *err)
{
    struct merge merge = {0};
    *ret_merged = NULL;
    int r = parse_definitions(&merge, saved, before, now, err);
    if (r == 0)
        bring_all_over(&merge);
    if (r == 0 && merge.changed)
        r = write_text(&merge, ret_merged, err);
    else if (r == 0)
        log_debug("the domain was not changed while it was undefined");
    xmlFreeDoc(merge.saved);
    xmlFreeDoc(merge.before);
    xmlFreeDoc(merge.now);
    return r;
}
