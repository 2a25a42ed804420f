/* SPDX-License-Identifier: Apache-2.0 */
/* How much of its quota a project has used. */
#include <errno.h>
#include <inttypes.h>

#include "cinder_client/cinder_int.h"
#include "common/log.h"

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
    if (read_limit(absolute, "maxTotalSnapshots", &parsed.max_snapshots, err) < 0 ||
        read_limit(absolute, "totalSnapshotsUsed", &parsed.used_snapshots, err) < 0 ||
        read_limit(absolute, "maxTotalVolumeGigabytes", &parsed.max_gigabytes, err) < 0 ||
        read_limit(absolute, "totalGigabytesUsed", &parsed.used_gigabytes, err) < 0)
        return -err->errnum;
    log_debug("Cinder's quota: %" PRId64 " of %" PRId64 " snapshots, %" PRId64 " of %" PRId64
              " GiB are used (-1: unlimited)",
              parsed.used_snapshots, parsed.max_snapshots, parsed.used_gigabytes,
              parsed.max_gigabytes);
    *ret_limits = parsed;
    return 0;
}

int cinder_limits_get(struct cinder *cinder, const struct request_context *context,
                      struct cinder_limits *ret_limits, struct error *err)
{
    const struct cinder_call call = {
        .method = "GET", .path = "/limits", .kind = &cinder_kind_limits, .id = "of the project"};
    json_t *limits = NULL;
    int r = cinder_get_object(cinder, context, &call, "limits", &limits, err);
    if (r < 0)
        return r;
    r = parse_limits(limits, ret_limits, err);
    json_decref(limits);
    return r;
}
