/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_list.h. */
#include "tool/domain_list.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

#include "tool/units.h"

#define DEPTH_MAX 256 /* libvirt makes no circles */
#define NAME_WIDTH 32

static const char *kind_of(const struct checkpoint *checkpoint)
{
    static const char *const names[] = {[CHECKPOINT_INTERNAL] = "internal",
                                        [CHECKPOINT_EXTERNAL] = "external",
                                        [CHECKPOINT_BITMAP] = "bitmap",
                                        [CHECKPOINT_PRESENT] = "present"};
    return names[checkpoint->kind];
}

/* What one would find who went back there, or read its images. */
static const char *holds(const struct checkpoint *checkpoint)
{
    if (checkpoint->kind == CHECKPOINT_PRESENT)
        return "-";
    if (checkpoint->has_memory)
        return "with memory";
    if (checkpoint->is_at_rest)
        return "at rest";
    return checkpoint->is_frozen ? "frozen" : "power cut";
}

static const char *created(const struct checkpoint *checkpoint, char text[static 32])
{
    time_t seconds = (time_t)checkpoint->created_s;
    struct tm utc;
    text[0] = '\0';
    if (seconds > 0 && gmtime_r(&seconds, &utc))
        (void)strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return text[0] != '\0' ? text : "-";
}

/* How much of its disks' files is an internal one's, nobody tells. */
static struct units_text size_of(const struct checkpoint *checkpoint, uint64_t bytes)
{
    struct units_text unknown = {"-"};
    return checkpoint->kind == CHECKPOINT_INTERNAL ? unknown : units_bytes(bytes);
}

static void write_layer(const struct checkpoint *checkpoint, const struct checkpoint_layer *layer,
                        int indent, FILE *out)
{
    if (layer->is_there)
        (void)fprintf(out, "  %*s  %s  %s  %s\n", indent, "", layer->target,
                      size_of(checkpoint, layer->size_on_disk_bytes).text, layer->path);
    else
        (void)fprintf(out, "  %*s  %s has gone: %s\n", indent, "", layer->target, layer->path);
}

static void write_row(const struct checkpoint *checkpoint, unsigned depth, bool with_layers,
                      FILE *out)
{
    char when[32];
    uint64_t bytes = 0;
    for (size_t i = 0; i < checkpoint->layer_count; i++)
        bytes += checkpoint->layers[i].size_on_disk_bytes;
    int indent = (int)(2 * depth);
    bool is_present = checkpoint->kind == CHECKPOINT_PRESENT;
    const char *star = checkpoint->is_current ? "*" : " ";
    (void)fprintf(out, "%s %*s%-*s  %-8s  %-11s  %10s  %s\n", is_present ? ">" : star, indent, "",
                  indent < NAME_WIDTH ? NAME_WIDTH - indent : 1,
                  is_present ? "(now)" : checkpoint->name, kind_of(checkpoint), holds(checkpoint),
                  size_of(checkpoint, bytes).text, created(checkpoint, when));
    for (size_t i = 0; i < checkpoint->layer_count; i++)
        if (with_layers || !checkpoint->layers[i].is_there)
            write_layer(checkpoint, &checkpoint->layers[i], indent, out);
}

static bool is_child(const struct checkpoint *checkpoint, const struct checkpoint *parent)
{
    bool same_sort =
        !parent || (parent->kind == CHECKPOINT_BITMAP) == (checkpoint->kind == CHECKPOINT_BITMAP);
    return same_sort && strcmp(checkpoint->parent, parent ? parent->name : "") == 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the tree, which DEPTH_MAX bounds */
static void write_children(const struct checkpoint_list *list, const struct checkpoint *parent,
                           unsigned depth, FILE *out)
{
    for (size_t i = 0; i < list->count && depth < DEPTH_MAX; i++) {
        if (!is_child(&list->checkpoints[i], parent))
            continue;
        write_row(&list->checkpoints[i], depth, true, out);
        write_children(list, &list->checkpoints[i], depth + 1, out);
    }
}

static json_t *pack_layers(const struct checkpoint *checkpoint)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < checkpoint->layer_count; i++) {
        const struct checkpoint_layer *layer = &checkpoint->layers[i];
        (void)json_array_append_new(layers, json_pack("{s:s, s:s, s:I, s:b}", "disk", layer->target,
                                                      "path", layer->path, "size_on_disk_bytes",
                                                      (json_int_t)layer->size_on_disk_bytes,
                                                      "is_there", layer->is_there));
    }
    return layers;
}

static void write_json(const struct checkpoint_list *list, FILE *out)
{
    json_t *checkpoints = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct checkpoint *checkpoint = &list->checkpoints[i];
        const char *parent = checkpoint->parent[0] != '\0' ? checkpoint->parent : NULL;
        (void)json_array_append_new(
            checkpoints,
            json_pack("{s:s, s:s*, s:s, s:b, s:b, s:b, s:b, s:I, s:o}", "name", checkpoint->name,
                      "parent", parent, "kind", kind_of(checkpoint), "is_current",
                      checkpoint->is_current, "has_memory", checkpoint->has_memory, "at_rest",
                      checkpoint->is_at_rest, "frozen", checkpoint->is_frozen, "created",
                      (json_int_t)checkpoint->created_s, "layers", pack_layers(checkpoint)));
    }
    json_t *root = json_pack("{s:o, s:{s:o}}", "checkpoints", checkpoints, "present", "layers",
                             pack_layers(&list->present));
    (void)json_dumpf(root, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    (void)fputc('\n', out);
    json_decref(root);
}

void domain_list_write(const struct invocation *invocation, const struct checkpoint_list *list,
                       FILE *out)
{
    if (invocation->values[INVOCATION_JSON]) {
        write_json(list, out);
        return;
    }
    if (list->count == 0) {
        (void)fputs("the domain has no checkpoints\n", out);
        return;
    }
    (void)fprintf(out, "  %-*s  %-8s  %-11s  %10s  %s\n", NAME_WIDTH, "NAME", "KIND", "HOLDS",
                  "ON DISK", "CREATED");
    bool as_tree = invocation->values[INVOCATION_TREE];
    if (as_tree)
        write_children(list, NULL, 0, out);
    for (size_t i = 0; !as_tree && i < list->count; i++)
        write_row(&list->checkpoints[i], 0, false, out);
    write_row(&list->present, 0, as_tree, out);
}
