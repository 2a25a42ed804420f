/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is heard of a domain: libvirt's events, brought from the event loop thread to the thread
 * that waits for them. Knows no libvirt call. Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "common/braces.h"
#include "common/error.h"

struct domain_watches; /* all watches of one connection */
struct domain_watch;

/* What has been heard since the watch was made. */
struct domain_news {
    unsigned serial;      /* grows with each piece of news */
    int block_job_status; /* virConnectDomainEventBlockJobStatus of the disk, -1 = none yet */
    bool stopped;         /* the domain is no longer active */
    bool resumed;         /* the guest was let run */
    bool started;         /* the guest was started, or woken */
    bool disconnected;    /* libvirtd was lost: events may have been missed */
};

#define DOMAIN_NEWS_INIT BRACES(.block_job_status = -1)

/* Returns owned; free with no watch left. */
int domain_watches_new(struct domain_watches **ret_watches, struct error *err);
void domain_watches_free(struct domain_watches *watches); /* NULL-safe */

/*
 * Starts to collect what is told of one domain, and of block jobs on its disk with the target name
 * `disk_target`. Strings are copied. Returns owned.
 */
int domain_watch_new(struct domain_watches *watches, const char *uuid, const char *disk_target,
                     struct domain_watch **ret_watch, struct error *err);
void domain_watch_free(struct domain_watch *watch); /* NULL-safe */

/*
 * Waits for news younger than *news and updates it; false when none came in time, and soon after
 * the thread's work was cancelled, as cancel_check() tells. Start with DOMAIN_NEWS_INIT: what was
 * heard since domain_watch_new() counts.
 */
bool domain_watch_wait(struct domain_watch *watch, unsigned timeout_ms, struct domain_news *news);

/* For the event loop thread: each wakes the watches of the domain, the last one all watches. */
void domain_watches_block_job(struct domain_watches *watches, const char *uuid,
                              const char *disk_target, int status);
void domain_watches_device_removed(struct domain_watches *watches, const char *uuid);
void domain_watches_stopped(struct domain_watches *watches, const char *uuid);
void domain_watches_resumed(struct domain_watches *watches, const char *uuid);
void domain_watches_started(struct domain_watches *watches, const char *uuid);
void domain_watches_disconnected(struct domain_watches *watches);
