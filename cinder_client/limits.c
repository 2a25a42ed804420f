/* SPDX-License-Identifier: Apache-2.0 */
/* How much of its quota a project has used. */
#include <errno.h>

#include "cinder_client/cinder_int.h"

static int read_limit(const json_t *absolute, const char *key, int64_t *ret_limit,
                      struct error *err)
{
    const json_t *value = json_object_get(absolute, key);
    if (!json_is_integer(value) || json_integer_value(value) < -1)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Cinder's limits have no usable '%s'",
                         key);
    *ret_limit = json_integer_value(value);
    return 0;
}

static int parse_limits(const json_t *limits, struct cinder_limits *ret_limits, struct error *err)
{
    const json_t *absolute = json_object_get(limits, "absolute");
    struct cinder_limits parsed;
    int r = read_limit(absolute, "maxTotalSnapshots", &parsed.max_snapshots, err);
    if (r == 0)
        r = read_limit(absolute, "totalSnapshotsUsed", &parsed.used_snapshots, err);
    if (r == 0)
        r = read_limit(absolute, "maxTotalVolumeGigabytes", &parsed.max_gigabytes, err);
    if (r == 0)
        r = read_limit(absolute, "totalGigabytesUsed", &parsed.used_gigabytes, err);
    if (r == 0)
        *ret_limits = parsed;
    return r;
}

int cinder_limits_get(struct cinder *cinder, const struct request_context *context,
                      struct cinder_limits *ret_limits, struct error *err)
{
    const struct cinder_call call = {
        .method = "GET", .path = "/limits", .kind = &cinder_kind_limits, .id = "of the project"};
    json_t *limits = NULL;
    int r = cinder_get_object(cinder, context, &call, "limits", &limits, err);
    if (r == 0)
        r = parse_limits(limits, ret_limits, err);
    json_decref(limits);
    return r;
}
