/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_report.h. */
#include "tool/domain_report.h"

#include "tool/units.h"

/* What was looked at, and what was not. */
static const char *verification(const struct image_file *file)
{
    if (file->path[0] == '\0')
        return "not verified: it went to standard output";
    return file->is_checked
               ? "verified: reads back as it was written, qemu-img check finds no fault"
               : "verified: reads back as it was written; its format has no qemu-img check";
}

void domain_report_json(json_t *value, FILE *out)
{
    (void)json_dumpf(value, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    (void)fputc('\n', out);
    json_decref(value);
}

static json_t *pack_image(const struct image_file *file)
{
    return json_pack("{s:s, s:s*, s:s, s:I, s:I, s:s, s:b, s:b}", "disk", file->target, "path",
                     file->path[0] != '\0' ? file->path : NULL, "format", file->format,
                     "size_bytes", (json_int_t)file->size_bytes, "virtual_size_bytes",
                     (json_int_t)file->virtual_size_bytes, "sha256", file->sha256, "read_back",
                     file->path[0] != '\0', "checked", file->is_checked);
}

static void write_images_json(const char *uuid, const struct image_report *report, FILE *out)
{
    json_t *images = json_array();
    for (size_t i = 0; i < report->count; i++)
        (void)json_array_append_new(images, pack_image(&report->files[i]));
    domain_report_json(json_pack("{s:s, s:s, s:b, s:s*, s:i, s:o}", "uuid", uuid, "method",
                                 report->method, "quiesced", report->quiesced, "instant",
                                 report->instant[0] != '\0' ? report->instant : NULL,
                                 "guest_paused_ms", (int)report->guest_paused_ms, "images", images),
                       out);
}

void domain_report_images(const struct invocation *invocation, const char *uuid,
                          const struct image_report *report, FILE *out)
{
    if (invocation->values[INVOCATION_JSON]) {
        write_images_json(uuid, report, out);
        return;
    }
    for (size_t i = 0; i < report->count; i++) {
        const struct image_file *file = &report->files[i];
        (void)fprintf(out, "%s  %s  %s, %s of a disk of %s\n", file->target,
                      file->path[0] != '\0' ? file->path : "(standard output)", file->format,
                      units_bytes(file->size_bytes).text,
                      units_bytes(file->virtual_size_bytes).text);
        (void)fprintf(out, "    sha256 %s\n    %s\n", file->sha256, verification(file));
    }
    (void)fprintf(out, "by %s, %s%s%s", report->method,
                  report->quiesced ? "with its filesystems frozen" : "not frozen",
                  report->instant[0] != '\0' ? ", as of " : "", report->instant);
    if (report->guest_paused_ms > 0)
        (void)fprintf(out, "; the guest stood still for %.1f s", report->guest_paused_ms / 1000.0);
    (void)fputc('\n', out);
}

/* NULL, for programs: it stands on none. */
static json_t *pack_base(enum image_base base)
{
    return base == IMAGE_BASE_NONE ? json_null() : json_boolean(base == IMAGE_BASE_KNOWN);
}

static const char *base_in_words(enum image_base base)
{
    static const char *const words[] = {
        [IMAGE_BASE_NONE] = "",
        [IMAGE_BASE_UNKNOWN] = ", made on the next: not known",
        [IMAGE_BASE_KNOWN] = ", made on the next",
    };
    return words[base];
}

json_t *domain_report_pack_chain(const struct image_chain *chain)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < chain->count; i++) {
        const struct image_layer *layer = &chain->layers[i];
        (void)json_array_append_new(
            layers,
            json_pack("{s:s, s:s, s:I, s:I, s:b, s:o}", "path", layer->path, "format",
                      layer->format, "virtual_size_bytes", (json_int_t)layer->virtual_size_bytes,
                      "size_on_disk_bytes", (json_int_t)layer->size_on_disk_bytes, "checked",
                      layer->is_checked, "base_known", pack_base(layer->base)));
    }
    return json_pack("{s:o}", "layers", layers);
}

void domain_report_chain(const struct invocation *invocation, const struct image_chain *chain,
                         FILE *out)
{
    if (invocation->values[INVOCATION_JSON]) {
        domain_report_json(domain_report_pack_chain(chain), out);
        return;
    }
    for (size_t i = 0; i < chain->count; i++) {
        const struct image_layer *layer = &chain->layers[i];
        (void)fprintf(out, "%s%s  %s, %s on disk, %s%s\n", i > 0 ? "on " : "", layer->path,
                      layer->format, units_bytes(layer->size_on_disk_bytes).text,
                      layer->is_checked ? "qemu-img check finds no fault"
                                        : "its format has no qemu-img check",
                      base_in_words(layer->base));
    }
    (void)fprintf(out, "%zu layers, each where the one above names it\n", chain->count);
}

void domain_report_recovery(const struct invocation *invocation, json_t *domains, FILE *out)
{
    size_t i;
    const json_t *domain;
    if (invocation->values[INVOCATION_JSON]) {
        domain_report_json(json_pack("{s:O}", "domains", domains), out);
        return;
    }
    json_array_foreach (domains, i, domain)
        (void)fprintf(out, "%s: %s\n", json_string_value(json_object_get(domain, "domain")),
                      json_string_value(json_object_get(domain, "outcome")));
}
