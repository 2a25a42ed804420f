/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that were given to a guest, which was not started after all. */
#include <errno.h>

#include "domain/disk_fingerprint.h"

static int renew_layer(json_t *layer, json_int_t until_ns, struct error *err)
{
    json_t *seen = NULL, *one = json_pack("[O]", layer);
    int r =
        json_is_true(json_object_get(layer, "is_top")) ? disk_fingerprint_look(one, &seen, err) : 0;
    json_decref(one);
    if (r < 0 || !seen)
        return r;
    const json_t *now = json_array_get(seen, 0);
    json_t *ctime_ns = json_object_get(now, "ctime_ns");
    bool is_known = !disk_fingerprint_differs(layer, now, "size_bytes") &&
                    !disk_fingerprint_differs(layer, now, "inode") &&
                    !disk_fingerprint_differs(layer, now, "mtime_ns") &&
                    json_integer_value(ctime_ns) <= until_ns;
    if (!is_known)
        r = error_set(err, ESTALE, EXC_INTERNAL_ERROR, "%s has changed since",
                      json_string_value(json_object_get(layer, "path")));
    else if (ctime_ns && json_object_set(layer, "ctime_ns", ctime_ns) < 0)
        r = error_nomem(err);
    json_decref(seen);
    return r;
}

int disk_fingerprint_renew(const json_t *layers, json_int_t until_ns, json_t **ret_layers,
                           struct error *err)
{
    json_t *renewed = json_deep_copy(layers), *layer;
    size_t i;
    int r = renewed ? 0 : error_nomem(err);
    json_array_foreach (renewed, i, layer) {
        if (r == 0)
            r = renew_layer(layer, until_ns, err);
    }
    if (r < 0) {
        json_decref(renewed);
        return r;
    }
    *ret_layers = renewed;
    return 0;
}
