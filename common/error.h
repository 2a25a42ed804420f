/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error object: the last parameter of every function that can fail for a reason worth telling.
 *
 * Rules
 * - A function returns 0 and leaves *err untouched, or returns -errno and fills *err once.
 * - `err` may not be NULL. Start with ERROR_INIT.
 * - The message is one phrase, no newline, no full stop, no secret. Callers add context in front
 *   with error_prepend(). Nobody logs and returns: the RPC boundary logs, once. Whatever it is made
 *   of, it is whole UTF-8 without control characters, as class and module are.
 * - `exc` names the exception class Nova would have raised, because faults, notifications and the
 *   decisions of nova-compute depend on it. Errors that came over RPC carry the remote's class.
 *   Where nova lets an exception of another library through, it is that one (EXC_OS_ERROR ...).
 * - Plain data: copy by assignment, nothing to free. Not shared between threads.
 */
#pragma once

#include "common/braces.h"

#include <stdbool.h>

#define ERROR_EXC_MAX 96
#define ERROR_MESSAGE_MAX 1024

/* Classes of nova.exception this project raises or acts upon. */
#define EXC_NOVA_EXCEPTION "NovaException"
#define EXC_INTERNAL_ERROR "InternalError"
#define EXC_INSTANCE_NOT_FOUND "InstanceNotFound"
#define EXC_INSTANCE_NOT_RUNNING "InstanceNotRunning"
#define EXC_UNEXPECTED_TASK_STATE "UnexpectedTaskStateError"
#define EXC_UNEXPECTED_DELETING "UnexpectedDeletingTaskStateError"
#define EXC_IMAGE_NOT_FOUND "ImageNotFound"
#define EXC_IMAGE_NOT_AUTHORIZED "ImageNotAuthorized"
#define EXC_IMAGE_UNACCEPTABLE "ImageUnacceptable"
#define EXC_IMAGE_QUOTA_EXCEEDED "ImageQuotaExceeded"
#define EXC_IMAGE_BAD_REQUEST "ImageBadRequest"
#define EXC_IMAGE_DELETE_CONFLICT "ImageDeleteConflict"
#define EXC_IMAGE_UPLOAD_FAILED "ImageUploadFailed"
#define EXC_GLANCE_CONNECTION_FAILED "GlanceConnectionFailed"
#define EXC_VOLUME_NOT_FOUND "VolumeNotFound"
#define EXC_SNAPSHOT_NOT_FOUND "SnapshotNotFound"
#define EXC_VOLUME_ATTACHMENT_NOT_FOUND "VolumeAttachmentNotFound"
#define EXC_INVALID_VOLUME "InvalidVolume"
#define EXC_OVER_QUOTA "OverQuota"
#define EXC_INVALID_INPUT "InvalidInput"
#define EXC_FORBIDDEN "Forbidden"
#define EXC_UNAUTHORIZED "Unauthorized"
#define EXC_CINDER_CONNECTION_FAILED "CinderConnectionFailed"
#define EXC_UNSUPPORTED_CINDER_API_VERSION "UnsupportedCinderAPIVersion"
#define EXC_INVALID_DISK_INFO "InvalidDiskInfo"
#define EXC_DISK_NOT_FOUND "DiskNotFound"
#define EXC_QEMU_GUEST_AGENT_NOT_ENABLED "QemuGuestAgentNotEnabled"
#define EXC_INSTANCE_QUIESCE_NOT_SUPPORTED "InstanceQuiesceNotSupported"
#define EXC_INSTANCE_QUIESCE_FAILED "InstanceQuiesceFailed"
#define EXC_PCI_DEVICE_DETACH_FAILED "PciDeviceDetachFailed"
/* What nova lets through of the libraries it uses. */
#define EXC_OS_ERROR "OSError"
#define EXC_MEMORY_ERROR "MemoryError"
#define EXC_LIBVIRT_ERROR "libvirtError"
#define EXC_PROCESS_EXECUTION_ERROR "ProcessExecutionError"
#define EXC_GLANCE_HTTP_EXCEPTION "HTTPException"
#define EXC_GLANCE_HTTP_CONFLICT "HTTPConflict"
#define EXC_GLANCE_HTTP_SERVER_ERROR "HTTPInternalServerError"
#define EXC_CINDER_CLIENT_EXCEPTION "ClientException"
#define EXC_MESSAGING_TIMEOUT "MessagingTimeout"
#define EXC_MESSAGE_DELIVERY_FAILURE "MessageDeliveryFailure"

struct error {
    int errnum;                      /* positive errno, 0 = no error */
    int code;                        /* nova's `code` kwarg: the fault code, 500 unless said */
    int http_status;                 /* status of the REST answer behind it, 0 if none */
    bool passes;                     /* no answer about the matter: another time there may be one */
    bool is_wish;                    /* an operator wanted it to end: nothing is wrong */
    char exc[ERROR_EXC_MAX];         /* exception class, e.g. EXC_IMAGE_NOT_FOUND */
    char module[ERROR_EXC_MAX];      /* its Python module, "nova.exception" unless remote */
    char message[ERROR_MESSAGE_MAX]; /* cut, never overflowing */
};

#define ERROR_INIT BRACES(0)

/* Fills *err: `errnum` positive, `exc` a class of those above, else of nova.exception. Returns
 * -errnum, so a failing branch is one line. */
int error_set(struct error *err, int errnum, const char *exc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* error_set for a class out of any other `module`. Unless that is nova's, the code is 500, as nova
 * has it. */
int error_set_foreign(struct error *err, int errnum, const char *module, const char *exc,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Python's OSError, with the text of `errnum` appended: "<format>: <strerror>". */
int error_errno(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Python's MemoryError. */
int error_nomem(struct error *err);

/* Puts "<format>: " in front of the message. Returns -err->errnum. */
int error_prepend(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts <format> behind the message. Returns -err->errnum. */
int error_append(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Keeps the first of two errors: a *err without one becomes *later, else only the message of
 * *later is put behind its own. For clean-up steps, which all run.
 */
void error_join(struct error *err, const struct error *later);

/* Whether the class is one of nova's own. */
bool error_is_novas(const struct error *err);

/*
 * What tenants may read: the message of nova's exceptions, of all others the class alone. Source:
 * nova.compute.utils:exception_to_dict. Borrowed.
 */
const char *error_public_text(const struct error *err);

/* True when the class is `exc` or, for the two classes Nova derives, one of its subclasses. */
bool error_is(const struct error *err, const char *exc);
