/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Nova's releases do differently where the agent has to do as nova-compute would: one table.
 * Not in it is how they read nova.conf: an option's default that changed, and a deprecated name
 * that was dropped, are in conf/options.c (`newer`, `dropped`), told by the packages on this host
 * (conf/installed.h). They are needed before there is a bus to ask, and are oslo's as well as
 * nova's, of which a service version says nothing.
 *
 * The release is told by the version in the Service record of this host's nova-compute
 * (nova.objects.service.SERVICE_VERSION), which nova-conductor is asked for in the background; as
 * long as there is no answer, by the version of the request's Instance object, which tells less.
 * Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "agent/instance.h"
#include "amqp/bus.h"

struct release;

enum release_habit {
    RELEASE_AMI_STAYS_AMI,    /* disk_format of the snapshot of a server booted from an AMI */
    RELEASE_TELLS_SHARES,     /* InstanceActionSnapshotPayload 1.10 */
    RELEASE_REFUSES_WITH_409, /* a guest agent that does not respond is InstanceQuiesceFailed */
    RELEASE_POSTS_LOCATION,   /* Glance is given a location by POST first */
    RELEASE_HABIT_MAX
};

/* Both are borrowed. Returns owned. */
int release_new(struct bus *bus, const char *host, struct release **ret_release, struct error *err);

/* Before the bus; waits for a question that is under way, some seconds at most. NULL-safe. */
void release_free(struct release *release);

/*
 * The bus was started, or a request is served: asks for the release when the last answer is not of
 * this minute, on a thread of its own. A failure only means that what was known stays, and that the
 * next request asks again. NULL-safe.
 */
void release_ask(struct release *release);

/* The service version of this host's nova-compute; 0 = not known. NULL-safe. */
unsigned release_version(const struct release *release);

/*
 * Whether the nova-compute at hand does this; waits a second at most for a question that is under
 * way. `release` may be NULL: the instance alone tells. On a worker.
 */
bool release_has(struct release *release, const struct instance *instance,
                 enum release_habit habit);
