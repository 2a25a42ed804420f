/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of AMQP tables, as arguments of methods and properties of a client. Borrow their texts.
 */
#pragma once

#include <stdint.h>

#include "amqp/librabbitmq.h"

static inline amqp_table_entry_t table_entry_text(const char *key, const char *text)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)},
    };
}

static inline amqp_table_entry_t table_entry_true(const char *key)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
    };
}

static inline amqp_table_entry_t table_entry_int32(const char *key, int32_t value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = value},
    };
}

static inline amqp_table_entry_t table_entry_int64(const char *key, int64_t value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = value},
    };
}
