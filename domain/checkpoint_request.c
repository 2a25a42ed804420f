/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_request.h. */
#include "domain/checkpoint_request.h"

#include <errno.h>
#include <libxml/xmlstring.h>
#include <string.h>

#define NAME_MAX_BYTES 200 /* a part of file names */

static bool is_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && name[0] != '-' && !strchr(name, '/') &&
           !strchr(name, '\n') && strlen(name) <= NAME_MAX_BYTES &&
           xmlCheckUTF8((const xmlChar *)name) == 1;
}

/* "vda=FILE", each target once. */
static bool are_disks(const struct checkpoint_request *request)
{
    for (size_t i = 0; i < request->disk_count; i++) {
        const char *disk = request->disks[i], *sign = strchr(disk, '=');
        if (!sign || sign == disk || sign[1] == '\0')
            return false;
        for (size_t j = 0; j < i; j++)
            if (strncmp(request->disks[j], disk, (size_t)(sign - disk) + 1) == 0)
                return false;
    }
    return true;
}

static const char *reason_against_internal(const struct checkpoint_request *request)
{
    if (request->disk_count > 0 || request->memory_file)
        return "an internal checkpoint is inside the disks' own files: it takes no --disk and no "
               "--memory-file";
    if (request->live)
        return "an internal checkpoint cannot be made --live";
    return request->name && request->name[strspn(request->name, "0123456789")] == '\0'
               ? "no internal checkpoint can have a number for its --name, which to QEMU is "
                 "another "
                 "one's ID"
               : NULL;
}

static const char *reason_against(const struct checkpoint_request *request)
{
    if (request->name && !is_name(request->name))
        return "no checkpoint can have that --name: it is a part of file names, in UTF-8, and "
               "no option";
    if (request->disk_only && request->memory)
        return "it is either --disk-only or with --memory";
    if (request->live && request->halt)
        return "it is either --live or --halt";
    if (request->disk_only && (request->live || request->memory_file))
        return "--live and --memory-file are about memory, which --disk-only leaves out";
    if (request->quiesce && !request->disk_only)
        return "--quiesce needs --disk-only: a guest whose memory is kept would wake up frozen";
    if (!are_disks(request))
        return "--disk takes a disk and a file, as vda=/var/lib/images/web.vda, each disk once";
    return request->internal ? reason_against_internal(request) : NULL;
}

int checkpoint_request_check(const struct checkpoint_request *request, struct error *err)
{
    const char *reason = reason_against(request);
    return reason ? error_set(err, EINVAL, EXC_INVALID_INPUT, "%s", reason) : 0;
}

const char *checkpoint_request_file(const struct checkpoint_request *request, const char *target)
{
    size_t length = strlen(target);
    for (size_t i = 0; i < request->disk_count; i++)
        if (strncmp(request->disks[i], target, length) == 0 && request->disks[i][length] == '=')
            return request->disks[i] + length + 1;
    return NULL;
}
