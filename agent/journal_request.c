/* SPDX-License-Identifier: Apache-2.0 */
/* The request as the first line of its record in the journal, and back. See journal_int.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal_int.h"
#include "amqp/bus.h"
#include "common/json.h"

json_t *journal_request_pack(const struct rpc_request *request, const char *boot_id)
{
    return json_pack("{s:i, s:s, s:s, s:s?, s:s?, s:s?, s:O, s:O}", "journal", JOURNAL_FORMAT,
                     "boot_id", boot_id, "method", request->method, "namespace", request->namespace,
                     "version", request->version, "unique_id", request->unique_id, "args",
                     request->args, "context", request->context->values);
}

static int check_format(const json_t *line, struct error *err)
{
    const json_t *format = json_object_get(line, "journal");
    if (json_is_integer(format) && json_integer_value(format) == JOURNAL_FORMAT)
        return 0;
    return error_set(err, EPROTONOSUPPORT, EXC_INTERNAL_ERROR,
                     "its format is %lld, only %d is understood", json_integer_value(format),
                     JOURNAL_FORMAT);
}

/* The context as the request brought it. */
static int unpack_context(const json_t *line, struct request_context **ret_context,
                          struct error *err)
{
    json_t *values = NULL;
    int r = json_need_object(line, "context", "its request", &values, err);
    return r < 0 ? r : request_context_from_values(values, ret_context, err);
}

static char *copy_line_member(const json_t *line, const char *key)
{
    const char *text = json_string_member(line, key);
    return text ? strdup(text) : NULL;
}

int journal_request_unpack(const json_t *line, struct rpc_request **ret_request, struct error *err)
{
    const char *method = NULL;
    json_t *args = NULL;
    int r = check_format(line, err);
    if (r == 0)
        r = json_need_string(line, "method", "its request", &method, err);
    if (r == 0)
        r = json_need_object(line, "args", "its request", &args, err);
    if (r < 0)
        return r;
    struct rpc_request *request = calloc(1, sizeof(*request));
    if (!request)
        return error_nomem(err);
    r = unpack_context(line, &request->context, err);
    if (r == 0) {
        request->method = copy_line_member(line, "method");
        request->namespace = copy_line_member(line, "namespace");
        request->version = copy_line_member(line, "version");
        request->unique_id = copy_line_member(line, "unique_id");
        request->args = json_incref(args);
        r = request->method ? 0 : error_nomem(err);
    }
    if (r < 0) {
        rpc_request_free(request);
        return r;
    }
    *ret_request = request;
    return 0;
}
