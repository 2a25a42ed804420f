/* SPDX-License-Identifier: Apache-2.0 */
/* See rbd_location.h. */
#include "driver/ceph/rbd_location.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/hex.h"

/* Decodes one part of a location, up to '/' or the end. NULL when it is no name. */
static const char *decode_part(const char *text, char ret_part[static RBD_NAME_MAX])
{
    char part[RBD_NAME_MAX];
    size_t length = 0;
    for (; *text && *text != '/'; text++) {
        int high = *text == '%' ? hex_value(text[1]) : 0;
        int low = *text == '%' && high >= 0 ? hex_value(text[2]) : 0;
        if (high < 0 || low < 0 || length == sizeof(part))
            return NULL;
        part[length++] = *text == '%' ? (char)(high * 16 + low) : *text;
        if (*text == '%')
            text += 2;
    }
    return rbd_name_copy(part, length, ret_part) ? text : NULL;
}

int rbd_location_parse(const char *location, struct rbd_location *ret_location, struct error *err)
{
    struct rbd_location parsed;
    char *const parts[] = {parsed.fsid, parsed.pool, parsed.image, parsed.snap};
    const char *rest = strncmp(location, "rbd://", 6) == 0 ? location + 5 : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(parts) && rest; i++)
        rest = *rest == '/' ? decode_part(rest + 1, parts[i]) : NULL;
    if (!rest || *rest)
        return error_set(err, EINVAL, EXC_IMAGE_UNACCEPTABLE,
                         "Image location %s is not rbd://fsid/pool/image/snapshot", location);
    *ret_location = parsed;
    return 0;
}

char *rbd_location_format(const struct rbd_location *location)
{
    char *text = NULL;
    int length = asprintf(&text, "rbd://%s/%s/%s/%s", location->fsid, location->pool,
                          location->image, location->snap);
    return length < 0 ? NULL : text;
}
