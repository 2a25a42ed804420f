/* SPDX-License-Identifier: Apache-2.0 */
/* The table of requests: what is asked, who of struct control_ops answers, and how that is said. */
#pragma once

#include <stddef.h>

#include "control/control_ops.h"

/* A request, whole. Everything is borrowed. */
struct routes_request {
    const char *method;
    const char *path; /* without the query */
    const char *body;
    size_t body_bytes;
};

struct routes_answer {
    unsigned status;
    char *text;       /* NULL: there was no memory for it */
    const char *type; /* of the text, constant */
};

/* Owned: routes_answer_done(). */
struct routes_answer routes_answer(const struct control_ops *ops, void *arg,
                                   const struct routes_request *request);

/* An answer that says what is wrong, for who asks no op. */
struct routes_answer routes_answer_error(unsigned status, const char *message);

void routes_answer_done(struct routes_answer *answer);
