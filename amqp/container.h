/* SPDX-License-Identifier: Apache-2.0 */
/* From a part that a callback is given to what it is embedded in. */
#pragma once

#include <stddef.h>

#define CONTAINER_OF(part, type, member)                                                           \
    ((type *)(void *)(((char *)(part)) - offsetof(type, member)))
