/* SPDX-License-Identifier: Apache-2.0 */
/* See image_request.h. */
#include "domain/image_request.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/driver.h"
#include "driver/image/image_stream.h"

const char *image_request_format(const struct image_request *request)
{
    return request->format ? request->format : "qcow2";
}

bool image_request_is_of_set(const struct image_request *request)
{
    return request->all_disks || request->checkpoint || request->since;
}

static bool is_format(const char *format)
{
    static const char *const formats[] = {"raw", "qcow2", "vmdk", "vdi"};
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
        if (strcmp(format, formats[i]) == 0)
            return true;
    return false;
}

static bool is_method(const char *name)
{
    for (enum snapshot_method method = SNAPSHOT_METHOD_STREAM; method <= SNAPSHOT_METHOD_COLD;
         method++)
        if (strcmp(name, snapshot_method_name(method)) == 0)
            return true;
    return false;
}

static const char *reason_against_set(const struct image_request *request)
{
    const char *format = image_request_format(request);
    bool has_checkpoint = request->checkpoint || request->since;
    if (!request->output)
        return has_checkpoint ? "an increment stands on a file: standard output is none"
                              : "standard output takes one disk, not all";
    if (!image_stream_can_make(format, request->compress))
        return "images of one job are raw or qcow2, and not compressed";
    if (has_checkpoint && strcmp(format, "qcow2") != 0)
        return "an increment is a qcow2 image, and stands on one";
    if (request->method &&
        strcmp(request->method, snapshot_method_name(SNAPSHOT_METHOD_STREAM)) != 0)
        return "images of one job are made by the method stream";
    return NULL;
}

static const char *reason_against(const struct image_request *request)
{
    const char *format = image_request_format(request);
    if (!is_format(format))
        return "the format is raw, qcow2, vmdk or vdi";
    if (request->method && !is_method(request->method))
        return "the method is stream, blockcopy, blockrebase or cold";
    if (request->compress && strcmp(format, "qcow2") != 0)
        return "only qcow2 images can be compressed";
    if (request->quiesce && request->method &&
        strcmp(request->method, snapshot_method_name(SNAPSHOT_METHOD_COLD)) == 0)
        return "the method cold saves the guest, and freezes nothing";
    if (request->disk && request->all_disks)
        return "it is either one disk or all of them";
    return image_request_is_of_set(request) ? reason_against_set(request) : NULL;
}

int image_request_check(const struct image_request *request, struct error *err)
{
    const char *reason = reason_against(request);
    return reason ? error_set(err, EINVAL, EXC_INVALID_INPUT, "%s", reason) : 0;
}
