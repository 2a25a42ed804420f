/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/content.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/content.h"
#include "amqp/oslo_message.h"
#include "common/cleanup.h"

static amqp_basic_properties_t json_properties(void)
{
    return (amqp_basic_properties_t){._flags = AMQP_BASIC_CONTENT_TYPE_FLAG,
                                     .content_type = amqp_cstring_bytes("application/json")};
}

static void deliver(struct content_assembly *assembly, amqp_channel_t channel, uint64_t tag)
{
    amqp_basic_deliver_t deliver = {.delivery_tag = tag};
    const amqp_method_t method = {.id = AMQP_BASIC_DELIVER_METHOD, .decoded = &deliver};
    content_assembly_begin(assembly, channel, &method);
}

static int take_header(struct content_assembly *assembly, amqp_channel_t channel, uint64_t size,
                       amqp_basic_properties_t *properties, const struct amqp_content **content)
{
    struct error err = ERROR_INIT;
    const amqp_frame_t frame = {.frame_type = AMQP_FRAME_HEADER,
                                .channel = channel,
                                .payload.properties = {.body_size = size, .decoded = properties}};
    return content_assembly_header(assembly, &frame, content, &err);
}

static int take_body(struct content_assembly *assembly, amqp_channel_t channel, const char *text,
                     size_t length, const struct amqp_content **content)
{
    struct error err = ERROR_INIT;
    cleanup_free char *copy = strdup(text);
    const amqp_frame_t frame = {.frame_type = AMQP_FRAME_BODY,
                                .channel = channel,
                                .payload.body_fragment = {.len = length, .bytes = copy}};
    return content_assembly_body(assembly, &frame, content, &err);
}

static void frames_become_a_message(void **state)
{
    (void)state;
    struct content_assembly assembly = {0};
    const struct amqp_content *content = NULL;
    amqp_basic_properties_t properties = json_properties();
    deliver(&assembly, 1, 7);
    assert_int_equal(take_header(&assembly, 1, 6, &properties, &content), 0);
    deliver(&assembly, 3, 8); /* channels do not disturb each other */
    assert_int_equal(take_body(&assembly, 1, "abc", 3, &content), 0);
    assert_int_equal(take_header(&assembly, 3, 0, &properties, &content), 0);
    assert_int_equal(content->delivery_tag, 8);
    assert_int_equal(content->length, 0);
    content_assembly_reset(&assembly, content);
    content = NULL;
    assert_int_equal(take_body(&assembly, 1, "def", 3, &content), 0);
    assert_int_equal(content->delivery_tag, 7);
    assert_true(content->is_plain_json);
    assert_memory_equal(content->body, "abcdef", 6);
    content_assembly_reset(&assembly, content);
    content_assembly_clear(&assembly);
}

static uint64_t delivery_count_of(amqp_table_entry_t *entries, int n)
{
    struct content_assembly assembly = {0};
    const struct amqp_content *content = NULL;
    amqp_basic_properties_t properties = json_properties();
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = (amqp_table_t){.num_entries = n, .entries = entries};
    amqp_basic_deliver_t deliver = {.redelivered = 1};
    const amqp_method_t method = {.id = AMQP_BASIC_DELIVER_METHOD, .decoded = &deliver};
    content_assembly_begin(&assembly, 1, &method);
    assert_int_equal(take_header(&assembly, 1, 0, &properties, &content), 0);
    assert_true(content->redelivered);
    uint64_t count = content->delivery_count;
    content_assembly_clear(&assembly);
    return count;
}

static void a_quorum_queue_says_how_often(void **state)
{
    (void)state;
    amqp_table_entry_t entries[2] = {{.key = amqp_cstring_bytes("x-death")},
                                     {.key = amqp_cstring_bytes("x-delivery-count")}};
    assert_int_equal(delivery_count_of(entries, 1), 0);
    assert_int_equal(delivery_count_of(entries, 2), 0); /* of no kind */
    entries[1].value.kind = AMQP_FIELD_KIND_I64;
    entries[1].value.value.i64 = 3;
    assert_int_equal(delivery_count_of(entries, 2), 3);
    entries[1].value.value.i64 = -3;
    assert_int_equal(delivery_count_of(entries, 2), 0);
    entries[1].value.kind = AMQP_FIELD_KIND_I32;
    entries[1].value.value.i32 = 2;
    assert_int_equal(delivery_count_of(entries, 2), 2);
}

static void only_plain_json_is_plain_json(void **state)
{
    (void)state;
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("compression")};
    amqp_table_entry_t harmless = {.key = amqp_cstring_bytes("x-death")};
    amqp_basic_properties_t kinds[4] = {json_properties(), json_properties(), json_properties(),
                                        json_properties()};
    kinds[0]._flags = 0;
    kinds[1].content_type = amqp_cstring_bytes("text/plain");
    kinds[2]._flags |= AMQP_BASIC_HEADERS_FLAG;
    kinds[2].headers = (amqp_table_t){.num_entries = 1, .entries = &entry};
    kinds[3]._flags |= AMQP_BASIC_HEADERS_FLAG;
    kinds[3].headers = (amqp_table_t){.num_entries = 1, .entries = &harmless};
    for (int i = 0; i < 4; i++) {
        struct content_assembly assembly = {0};
        const struct amqp_content *content = NULL;
        deliver(&assembly, 1, 1);
        assert_int_equal(take_header(&assembly, 1, 0, &kinds[i], &content), 0);
        assert_int_equal(content->is_plain_json, i == 3);
        content_assembly_clear(&assembly);
    }
}

static void too_large_is_cut_not_kept(void **state)
{
    (void)state;
    struct content_assembly assembly = {0};
    const struct amqp_content *content = NULL;
    amqp_basic_properties_t properties = json_properties();
    deliver(&assembly, 1, 1);
    uint64_t size = OSLO_BODY_MAX_BYTES + 1;
    assert_int_equal(take_header(&assembly, 1, size, &properties, &content), 0);
    static char part[65536];
    memset(part, 'x', sizeof(part) - 1);
    uint64_t sent = 0;
    while (sent < size) {
        size_t length = size - sent < sizeof(part) - 1 ? (size_t)(size - sent) : sizeof(part) - 1;
        assert_null(content);
        assert_int_equal(take_body(&assembly, 1, part, length, &content), 0);
        sent += length;
    }
    assert_int_equal(content->size_bytes, size);
    assert_true(content->length < 65536);
    content_assembly_clear(&assembly);
}

static void frames_out_of_order_are_refused(void **state)
{
    (void)state;
    struct content_assembly assembly = {0};
    const struct amqp_content *content = NULL;
    amqp_basic_properties_t properties = json_properties();
    assert_int_equal(take_header(&assembly, 1, 3, &properties, &content), -EPROTO);
    assert_int_equal(take_body(&assembly, 1, "abc", 3, &content), -EPROTO);
    deliver(&assembly, CONTENT_CHANNELS, 1);
    assert_int_equal(take_header(&assembly, CONTENT_CHANNELS, 3, &properties, &content), -EPROTO);
    assert_int_equal(take_body(&assembly, 65535, "abc", 3, &content), -EPROTO);
    deliver(&assembly, 1, 1);
    assert_int_equal(take_body(&assembly, 1, "abc", 3, &content), -EPROTO);
    assert_int_equal(take_header(&assembly, 1, 3, &properties, &content), 0);
    assert_int_equal(take_header(&assembly, 1, 3, &properties, &content), -EPROTO);
    assert_int_equal(take_body(&assembly, 1, "abcd", 4, &content), -EPROTO);
    assert_null(content);
    content_assembly_clear(&assembly);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_become_a_message),
        cmocka_unit_test(a_quorum_queue_says_how_often),
        cmocka_unit_test(only_plain_json_is_plain_json),
        cmocka_unit_test(too_large_is_cut_not_kept),
        cmocka_unit_test(frames_out_of_order_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
