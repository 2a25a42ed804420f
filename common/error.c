/* See error.h. */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int nova_code(const char *exc)
{
    static const struct {
        const char *exc;
        int code;
    } codes[] = {
        {EXC_INSTANCE_NOT_FOUND, 404},
        {EXC_IMAGE_NOT_FOUND, 404},
        {EXC_FORBIDDEN, 403},
        {EXC_IMAGE_NOT_AUTHORIZED, 403},
        {EXC_IMAGE_BAD_REQUEST, 400},
        {EXC_IMAGE_QUOTA_EXCEEDED, 413},
        {EXC_QEMU_GUEST_AGENT_NOT_ENABLED, 400},
        {EXC_INSTANCE_QUIESCE_NOT_SUPPORTED, 400},
        {EXC_INSTANCE_NOT_RUNNING, 400},
        {EXC_IMAGE_DELETE_CONFLICT, 409},
        {EXC_VOLUME_NOT_FOUND, 404},
        {EXC_SNAPSHOT_NOT_FOUND, 404},
        {EXC_VOLUME_ATTACHMENT_NOT_FOUND, 404},
        {EXC_OVER_QUOTA, 413},
        {EXC_INVALID_INPUT, 400},
        {EXC_FORBIDDEN, 403},
        {EXC_UNAUTHORIZED, 401},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strcmp(codes[i].exc, exc) == 0)
            return codes[i].code;
    return 500;
}

static int set(struct error *err, int errnum, const char *exc, const char *message)
{
    *err = (struct error){.errnum = errnum, .code = nova_code(exc)};
    (void)snprintf(err->exc, sizeof(err->exc), "%s", exc);
    (void)snprintf(err->module, sizeof(err->module), "nova.exception");
    (void)snprintf(err->message, sizeof(err->message), "%s", message);
    return -errnum;
}

int error_set(struct error *err, int errnum, const char *exc, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    return set(err, errnum, exc, message);
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
    return set(err, errnum, EXC_INTERNAL_ERROR, message);
}

int error_nomem(struct error *err)
{
    return set(err, ENOMEM, EXC_INTERNAL_ERROR, "out of memory");
}

/* Sets "<head><separator><tail>" as the message, cut to its size. */
static void set_joined(struct error *err, const char *head, const char *separator, const char *tail)
{
    char text[2 * ERROR_MESSAGE_MAX + 16];
    int length = snprintf(text, sizeof(text), "%s%s%s", head, separator, tail);
    size_t size = length < ERROR_MESSAGE_MAX ? (size_t)length : ERROR_MESSAGE_MAX - 1;
    memcpy(err->message, text, size);
    err->message[size] = '\0';
}

int error_prepend(struct error *err, const char *format, ...)
{
    char context[ERROR_MESSAGE_MAX / 2];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(context, sizeof(context), format, ap);
    va_end(ap);
    set_joined(err, context, ": ", err->message);
    return -err->errnum;
}

void error_join(struct error *err, const struct error *later)
{
    if (err->errnum == 0)
        *err = *later;
    else
        set_joined(err, err->message, "; then: ", later->message);
}

bool error_is(const struct error *err, const char *exc)
{
    if (strcmp(err->exc, exc) == 0)
        return true;
    /* nova.exception: UnexpectedDeletingTaskStateError(UnexpectedTaskStateError). */
    return strcmp(exc, EXC_UNEXPECTED_TASK_STATE) == 0 &&
           strcmp(err->exc, EXC_UNEXPECTED_DELETING) == 0;
}
