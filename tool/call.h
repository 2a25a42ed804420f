/* SPDX-License-Identifier: Apache-2.0 */
/* A question to the agent, over its socket. */
#pragma once

#include <jansson.h>

#include "tool/invocation.h"

struct call {
    const char *method;
    const char *path;
    const char *id;      /* goes behind the path; NULL: nothing */
    json_t *body;        /* borrowed; NULL: none */
    unsigned timeout_ms; /* 0: what is answered at once */
    bool asks_again;     /* so that nobody answers is not said */
};

/*
 * INVOCATION_DONE and the answer, an owned object; else it has said on stderr what is wrong, and
 * the program ends with this. Without --json all text in it may be shown. Of agents of another
 * version members may be missing, or of another type.
 */
enum invocation_exit call_agent(const struct invocation *invocation, const struct call *call,
                                json_t **ret_answer);

/* Whether nobody listens on the agent's socket, or this user may not ask there: an agent that is
 * there and does not answer is another thing. */
bool call_finds_nobody(const struct invocation *invocation);

/* Says that the agent's answer lacks this member; the program ends with what it returns. */
enum invocation_exit call_complain_of_lack(const char *member);

/* With --json prints the answer as it came, in ASCII, and is true: there is no more to say. */
bool call_print_json(const struct invocation *invocation, const json_t *answer);
