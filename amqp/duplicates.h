/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last `_unique_id`s of a listener: oslo drops a message whose id it has just seen
 * (oslo_messaging._drivers.amqp._MsgIdCache). Single thread.
 */
#pragma once

#include <stdbool.h>

#define DUPLICATES_SERVED 16 /* oslo's DUP_MSG_CHECK_SIZE */
#define DUPLICATES_MAX 64

struct duplicates {
    char *ids[DUPLICATES_MAX]; /* a ring; owned */
    unsigned window;           /* how many are remembered, at most DUPLICATES_MAX */
    unsigned next;
};

/* `id` may be NULL or "": such a message is never a duplicate. */
bool duplicates_seen(const struct duplicates *duplicates, const char *id);

/* Remembers `id` (copied) and forgets the oldest. */
void duplicates_add(struct duplicates *duplicates, const char *id);

/* Forgets it: the next message of that id is no duplicate. */
void duplicates_remove(struct duplicates *duplicates, const char *id);

void duplicates_clear(struct duplicates *duplicates);
