/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of the bus itself carry the class names of oslo_messaging.exceptions. */
#pragma once

#include "common/error.h"

/* error_set() with the module of oslo.messaging's own exceptions. */
int messaging_error(struct error *err, int errnum, const char *exc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
