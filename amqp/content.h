/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the frames of a message together: method, header, body frames. Bus thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp/librabbitmq.h"
#include "common/error.h"

#define CONTENT_CHANNELS 8 /* channel numbers below this may carry content */

/* A message that came: basic.deliver or, `returned`, basic.return. Valid during the callback. */
struct amqp_content {
    amqp_channel_t channel;
    bool returned;
    uint16_t reply_code; /* of a return */
    uint64_t delivery_tag;
    bool redelivered;        /* somebody was given it before */
    uint64_t delivery_count; /* how often, when the queue counts (x-delivery-count); else 0 */
    bool is_plain_json;      /* content_type application/json, not compressed */
    uint64_t size_bytes;     /* as announced */
    char *body;
    size_t length; /* what of it was kept: less than size_bytes when that is too large */
};

struct content_assembly {
    struct pending_content {
        struct amqp_content content;
        uint64_t received_bytes;
        bool begun;
    } channels[CONTENT_CHANNELS];
};

/* basic.deliver or basic.return. */
void content_assembly_begin(struct content_assembly *assembly, amqp_channel_t channel,
                            const amqp_method_t *method);

/*
 * A frame of the content. *ret_content is set when it is complete: borrowed until
 * content_assembly_reset(). EPROTO or ENOMEM.
 */
int content_assembly_header(struct content_assembly *assembly, const amqp_frame_t *frame,
                            const struct amqp_content **ret_content, struct error *err);
int content_assembly_body(struct content_assembly *assembly, const amqp_frame_t *frame,
                          const struct amqp_content **ret_content, struct error *err);

/* Makes room for the next message on the channel of `content`. */
void content_assembly_reset(struct content_assembly *assembly, const struct amqp_content *content);

void content_assembly_clear(struct content_assembly *assembly);
