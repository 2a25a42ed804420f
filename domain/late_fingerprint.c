/* SPDX-License-Identifier: Apache-2.0 */
/* See late_fingerprint.h. */
#include "domain/late_fingerprint.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/text.h"
#include "domain/disk_layers.h"

/* QEMU ends, and libvirt gives the disks back, after the memory's last word. */
#define GIVEN_BACK_NS (60 * NS_PER_S)

/* NULL: it is as it was when the memory was whole. */
static const char *doubt_layer(const json_t *before, const json_t *now, const struct stat *memory)
{
    struct stat st;
    const char *path = json_string_member(now, "path");
    const json_t *inode = json_object_get(before, "inode");
    json_int_t whole_ns = clock_ns(&memory->st_mtim);
    if (!inode || !json_equal(inode, json_object_get(now, "inode")))
        return "is another file now";
    if (!path || stat(path, &st) < 0 || st.st_dev != memory->st_dev)
        return "is on another file system than the memory, whose clock may be another";
    if (json_integer_value(json_object_get(now, "mtime_ns")) > whole_ns)
        return "has been written to since";
    bool is_top = json_is_true(json_object_get(now, "is_top"));
    if (is_top && json_integer_value(json_object_get(now, "ctime_ns")) - GIVEN_BACK_NS > whole_ns)
        return "has been changed since";
    return NULL;
}

void late_fingerprint_doubt(const json_t *before, const json_t *now, const char *memory,
                            char ret_reason[static LATE_FINGERPRINT_REASON_SIZE])
{
    struct stat st;
    const char *device = disk_layers_device(now);
    const json_t *layer;
    size_t i;
    ret_reason[0] = '\0';
    if (device) {
        (void)snprintf(ret_reason, LATE_FINGERPRINT_REASON_SIZE,
                       "the save was killed before disk %s, a device, was read", device);
        return;
    }
    if (!memory || stat(memory, &st) < 0) {
        (void)snprintf(ret_reason, LATE_FINGERPRINT_REASON_SIZE,
                       "the save was killed before it looked at the disks");
        return;
    }
    json_array_foreach (now, i, layer) {
        const char *what = doubt_layer(json_array_get(before, i), layer, &st);
        if (!what)
            continue;
        (void)snprintf(ret_reason, LATE_FINGERPRINT_REASON_SIZE,
                       "the save was killed before it looked at the disks, and %.300s %s",
                       json_string_value(json_object_get(layer, "path")), what);
        text_make_whole(ret_reason); /* a path may be cut within a character, which no JSON takes */
        return;
    }
}
