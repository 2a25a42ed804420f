/* SPDX-License-Identifier: Apache-2.0 */
/* See content.h. */
#include "amqp/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/oslo_message.h"

#define OVERSIZE_KEPT_BYTES 4096 /* enough to tell one refused message from another */

static int out_of_order(struct error *err)
{
    return error_set(err, EPROTO, EXC_INTERNAL_ERROR, "a content frame came out of order");
}

void content_assembly_begin(struct content_assembly *assembly, amqp_channel_t channel,
                            const amqp_method_t *method)
{
    if (channel >= CONTENT_CHANNELS)
        return;
    struct pending_content *pending = &assembly->channels[channel];
    free(pending->content.body);
    *pending = (struct pending_content){.content.channel = channel, .begun = true};
    if (method->id == AMQP_BASIC_DELIVER_METHOD) {
        const amqp_basic_deliver_t *deliver = method->decoded;
        pending->content.delivery_tag = deliver->delivery_tag;
        pending->content.redelivered = deliver->redelivered;
    } else {
        const amqp_basic_return_t *returned = method->decoded;
        pending->content.returned = true;
        pending->content.reply_code = returned->reply_code;
    }
}

static bool bytes_equal(amqp_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

/* kombu hands anything but application/json to oslo as raw bytes; kombu_compression leaves a
 * header. */
static bool is_plain_json(const amqp_basic_properties_t *properties)
{
    if (!(properties->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG) ||
        !bytes_equal(properties->content_type, "application/json"))
        return false;
    if (!(properties->_flags & AMQP_BASIC_HEADERS_FLAG))
        return true;
    for (int i = 0; i < properties->headers.num_entries; i++)
        if (bytes_equal(properties->headers.entries[i].key, "compression"))
            return false;
    return true;
}

/* Quorum queues, from the second delivery on; RabbitMQ writes a signed long. */
static uint64_t delivery_count(const amqp_basic_properties_t *properties)
{
    if (!(properties->_flags & AMQP_BASIC_HEADERS_FLAG))
        return 0;
    for (int i = 0; i < properties->headers.num_entries; i++) {
        const amqp_table_entry_t *entry = &properties->headers.entries[i];
        if (!bytes_equal(entry->key, "x-delivery-count"))
            continue;
        if (entry->value.kind == AMQP_FIELD_KIND_I64 && entry->value.value.i64 > 0)
            return (uint64_t)entry->value.value.i64;
        if (entry->value.kind == AMQP_FIELD_KIND_I32 && entry->value.value.i32 > 0)
            return (uint64_t)entry->value.value.i32;
    }
    return 0;
}

static void check_complete(struct pending_content *pending, const struct amqp_content **ret_content)
{
    if (pending->received_bytes == pending->content.size_bytes)
        *ret_content = &pending->content;
}

int content_assembly_header(struct content_assembly *assembly, const amqp_frame_t *frame,
                            const struct amqp_content **ret_content, struct error *err)
{
    if (frame->channel >= CONTENT_CHANNELS || !assembly->channels[frame->channel].begun ||
        assembly->channels[frame->channel].content.body)
        return out_of_order(err);
    struct pending_content *pending = &assembly->channels[frame->channel];
    struct amqp_content *content = &pending->content;
    content->size_bytes = frame->payload.properties.body_size;
    content->is_plain_json = is_plain_json(frame->payload.properties.decoded);
    content->delivery_count = delivery_count(frame->payload.properties.decoded);
    content->length = content->size_bytes <= OSLO_BODY_MAX_BYTES ? (size_t)content->size_bytes
                                                                 : OVERSIZE_KEPT_BYTES;
    content->body = malloc(content->length + 1);
    if (!content->body)
        return error_nomem(err);
    check_complete(pending, ret_content);
    return 0;
}

int content_assembly_body(struct content_assembly *assembly, const amqp_frame_t *frame,
                          const struct amqp_content **ret_content, struct error *err)
{
    if (frame->channel >= CONTENT_CHANNELS || !assembly->channels[frame->channel].content.body)
        return out_of_order(err);
    struct pending_content *pending = &assembly->channels[frame->channel];
    struct amqp_content *content = &pending->content;
    const amqp_bytes_t *part = &frame->payload.body_fragment;
    if (part->len > content->size_bytes - pending->received_bytes)
        return out_of_order(err);
    if (pending->received_bytes < content->length) {
        size_t room = content->length - (size_t)pending->received_bytes;
        memcpy(content->body + pending->received_bytes, part->bytes,
               part->len < room ? part->len : room);
    }
    pending->received_bytes += part->len;
    check_complete(pending, ret_content);
    return 0;
}

void content_assembly_reset(struct content_assembly *assembly, const struct amqp_content *content)
{
    struct pending_content *pending = &assembly->channels[content->channel];
    free(pending->content.body);
    *pending = (struct pending_content){0};
}

void content_assembly_clear(struct content_assembly *assembly)
{
    for (int i = 0; i < CONTENT_CHANNELS; i++)
        free(assembly->channels[i].content.body);
    *assembly = (struct content_assembly){0};
}
