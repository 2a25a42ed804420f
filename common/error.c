/* SPDX-License-Identifier: Apache-2.0 */
/* See error.h. */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define NOVA "nova.exception"

/* Where a class comes from, and the code of nova's. */
struct exception_class {
    const char *exc;
    const char *module;
    int code;
};

static const struct exception_class *find_class(const char *exc)
{
    static const struct exception_class others = {NULL, NOVA, 500};
    static const struct exception_class classes[] = {
        {EXC_INSTANCE_NOT_FOUND, NOVA, 404},
        {EXC_IMAGE_NOT_FOUND, NOVA, 404},
        {EXC_VOLUME_NOT_FOUND, NOVA, 404},
        {EXC_SNAPSHOT_NOT_FOUND, NOVA, 404},
        {EXC_VOLUME_ATTACHMENT_NOT_FOUND, NOVA, 404},
        {EXC_DISK_NOT_FOUND, NOVA, 404},
        {EXC_IMAGE_BAD_REQUEST, NOVA, 400},
        {EXC_IMAGE_UNACCEPTABLE, NOVA, 400},
        {EXC_INVALID_DISK_INFO, NOVA, 400},
        {EXC_INVALID_INPUT, NOVA, 400},
        {EXC_INVALID_VOLUME, NOVA, 400},
        {EXC_QEMU_GUEST_AGENT_NOT_ENABLED, NOVA, 400},
        {EXC_INSTANCE_QUIESCE_NOT_SUPPORTED, NOVA, 400},
        {EXC_INSTANCE_NOT_RUNNING, NOVA, 400},
        {EXC_UNAUTHORIZED, NOVA, 401},
        {EXC_FORBIDDEN, NOVA, 403},
        {EXC_INSTANCE_QUIESCE_FAILED, NOVA, 409},
        {EXC_OVER_QUOTA, NOVA, 413},
        {EXC_OS_ERROR, "builtins", 500},
        {EXC_MEMORY_ERROR, "builtins", 500},
        {EXC_LIBVIRT_ERROR, "libvirt", 500},
        {EXC_PROCESS_EXECUTION_ERROR, "oslo_concurrency.processutils", 500},
        {EXC_GLANCE_HTTP_EXCEPTION, "glanceclient.exc", 500},
        {EXC_GLANCE_HTTP_CONFLICT, "glanceclient.exc", 500},
        {EXC_GLANCE_HTTP_SERVER_ERROR, "glanceclient.exc", 500},
        {EXC_CINDER_CLIENT_EXCEPTION, "cinderclient.exceptions", 500},
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
        if (strcmp(classes[i].exc, exc) == 0)
            return &classes[i];
    return &others;
}

/* The message becomes "<head><tail>", cut to its size. */
static void set_text(struct error *err, const char *head, const char *tail)
{
    char text[2 * ERROR_MESSAGE_MAX + 16];
    int length = snprintf(text, sizeof(text), "%s%s", head, tail);
    size_t size = length < ERROR_MESSAGE_MAX ? (size_t)length : ERROR_MESSAGE_MAX - 1;
    memcpy(err->message, text, size);
    err->message[size] = '\0';
    text_make_whole(err->message);
}

static bool is_novas(const char *module)
{
    return strncmp(module, "nova.", 5) == 0;
}

/* `module` NULL: that of the class. */
static int set_error(struct error *err, int errnum, const char *module, const char *exc,
                     const char *message)
{
    const struct exception_class *class = find_class(exc);
    if (!module)
        module = class->module;
    *err = (struct error){.errnum = errnum, .code = is_novas(module) ? class->code : 500};
    (void)snprintf(err->exc, sizeof(err->exc), "%s", exc);
    (void)snprintf(err->module, sizeof(err->module), "%s", module);
    text_make_whole(err->exc);
    text_make_whole(err->module);
    set_text(err, message, "");
    return -errnum;
}

int error_set(struct error *err, int errnum, const char *exc, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    return set_error(err, errnum, NULL, exc, message);
}

int error_set_foreign(struct error *err, int errnum, const char *module, const char *exc,
                      const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    return set_error(err, errnum, module, exc, message);
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
    char what[ERROR_MESSAGE_MAX / 2];
    char message[ERROR_MESSAGE_MAX];
    char text[128];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(what, sizeof(what), format, ap);
    va_end(ap);
    (void)snprintf(message, sizeof(message), "%s: %s", what,
                   strerror_r(errnum, text, sizeof(text)));
    return set_error(err, errnum, NULL, EXC_OS_ERROR, message);
}

int error_nomem(struct error *err)
{
    return set_error(err, ENOMEM, NULL, EXC_MEMORY_ERROR, "out of memory");
}

int error_prepend(struct error *err, const char *format, ...)
{
    char context[ERROR_MESSAGE_MAX / 2];
    const struct error old = *err;
    va_list ap;
    va_start(ap, format);
    int length = vsnprintf(context, sizeof(context) - 2, format, ap);
    va_end(ap);
    if (length >= 0)
        (void)strncat(context, ": ", 3);
    set_text(err, context, old.message);
    return -err->errnum;
}

int error_append(struct error *err, const char *format, ...)
{
    char more[ERROR_MESSAGE_MAX];
    const struct error old = *err;
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(more, sizeof(more), format, ap);
    va_end(ap);
    set_text(err, old.message, more);
    return -err->errnum;
}

void error_join(struct error *err, const struct error *later)
{
    if (err->errnum == 0)
        *err = *later;
    else
        (void)error_append(err, "; then: %s", later->message);
}

bool error_is_novas(const struct error *err)
{
    return is_novas(err->module);
}

const char *error_public_text(const struct error *err)
{
    return error_is_novas(err) ? err->message : err->exc;
}

bool error_is(const struct error *err, const char *exc)
{
    if (strcmp(err->exc, exc) == 0)
        return true;
    /* nova.exception: UnexpectedDeletingTaskStateError(UnexpectedTaskStateError). */
    return strcmp(exc, EXC_UNEXPECTED_TASK_STATE) == 0 &&
           strcmp(err->exc, EXC_UNEXPECTED_DELETING) == 0;
}
