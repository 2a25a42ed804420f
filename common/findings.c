/* SPDX-License-Identifier: Apache-2.0 */
/* See findings.h. */
#include "common/findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"

static const char *const status_names[] = {
    [FINDINGS_OK] = "ok", [FINDINGS_WARN] = "warn", [FINDINGS_FAIL] = "fail"};

json_t *findings_new(const char *host, const char *version, const char *instance)
{
    return json_pack("{s:s, s:s, s:s?, s:s, s:[]}", "host", host, "version", version, "instance",
                     instance, "status", status_names[FINDINGS_OK], "findings");
}

static enum findings_status status_of(const json_t *object)
{
    const char *name = json_string_member(object, "status");
    for (int i = FINDINGS_OK; name && i < FINDINGS_FAIL; i++)
        if (strcmp(name, status_names[i]) == 0)
            return (enum findings_status)i;
    return FINDINGS_FAIL;
}

void findings_add(json_t *report, const char *check, enum findings_status status, const char *text,
                  const char *remedy)
{
    struct error clean = ERROR_INIT; /* whole UTF-8 in one line */
    (void)error_set(&clean, EINVAL, EXC_INTERNAL_ERROR, "%s", text);
    (void)json_array_append_new(json_object_get(report, "findings"),
                                json_pack("{s:s, s:s, s:s, s:s?}", "check", check, "status",
                                          status_names[status], "text", clean.message, "remedy",
                                          status == FINDINGS_OK ? NULL : remedy));
    if (status > status_of(report))
        (void)json_object_set_new(report, "status", json_string(status_names[status]));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_member(object, key);
    return text ? text : "";
}

void findings_write(const json_t *report, FILE *out)
{
    size_t i;
    const json_t *finding;
    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        const char *remedy = json_string_member(finding, "remedy");
        (void)fprintf(out, "%-5s %-30s %s\n", text_of(finding, "status"), text_of(finding, "check"),
                      text_of(finding, "text"));
        if (remedy)
            (void)fprintf(out, "%37s-> %s\n", "", remedy);
    }
}

int findings_exit(const json_t *report)
{
    return status_of(report) == FINDINGS_FAIL ? FINDINGS_EXIT_FAIL : EXIT_SUCCESS;
}
