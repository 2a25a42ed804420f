/* SPDX-License-Identifier: Apache-2.0 */
/* See rates.h. */
#include "control/rates.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"

static int read_rate(const char *name, const json_t *value, struct control_rates *rates,
                     struct error *err)
{
    int *const fields[] = {&rates->disk, &rates->disk_host, &rates->upload, &rates->upload_host};
    static const char *const names[] = {"disk_rate_limit", "disk_rate_limit_host",
                                        "upload_rate_limit", "upload_rate_limit_host"};
    json_int_t number = json_integer_value(value);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        if (!json_is_integer(value) || number < 0 || number > CONTROL_RATE_MAX)
            return error_set(err, EINVAL, EXC_INVALID_INPUT,
                             "%s is a number of MiB/s, 0 to %d, 0 = no limit", name,
                             CONTROL_RATE_MAX);
        *fields[i] = (int)number;
        return 0;
    }
    return error_set(err, EINVAL, EXC_INVALID_INPUT, "there is no rate limit '%s'", name);
}

static int read_job(const json_t *object, struct control_rates *rates, struct error *err)
{
    rates->job = json_string_member(object, "job");
    bool is_of_host =
        rates->disk_host != CONTROL_RATE_KEPT || rates->upload_host != CONTROL_RATE_KEPT;
    if (rates->job && json_object_size(object) > 1 && !is_of_host)
        return 0;
    return error_set(err, EINVAL, EXC_INVALID_INPUT,
                     "with job, a string, upload_rate_limit or disk_rate_limit is given, and no "
                     "limit of the host");
}

int rates_read(json_t *object, struct control_rates *ret_rates, struct error *err)
{
    struct control_rates rates = {NULL, CONTROL_RATE_KEPT, CONTROL_RATE_KEPT, CONTROL_RATE_KEPT,
                                  CONTROL_RATE_KEPT};
    const char *name;
    json_t *value;
    int r = 0;
    json_object_foreach (object, name, value) {
        if (r == 0 && strcmp(name, "job") != 0)
            r = read_rate(name, value, &rates, err);
    }
    if (r == 0 && json_object_get(object, "job"))
        r = read_job(object, &rates, err);
    if (r == 0)
        *ret_rates = rates;
    return r;
}
