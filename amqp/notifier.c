/* SPDX-License-Identifier: Apache-2.0 */
/* See notifier.h. Sources: oslo_messaging/notify/notifier.py, messaging.py, _impl_log.py. */
#include "amqp/notifier.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/bus_int.h"
#include "amqp/container.h"
#include "amqp/oslo_message.h"
#include "amqp/publisher.h"
#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

#define ROUTING_KEY_MAX_BYTES 256

/* A message on its way to one topic. */
struct sending {
    struct publication publication;
    struct outgoing *outgoing;
    char routing_key[ROUTING_KEY_MAX_BYTES];
};

/* What a driver sends, on the stack of the thread that waits for it: to all topics at once, so that
 * none waits for another's queue. */
struct outgoing {
    struct bus_work work;
    struct publisher *publisher; /* looked into by the bus thread only */
    json_t *message;
    bool enveloped;
    struct sending *sendings;
    unsigned n_sendings, n_left;
    struct error failure; /* the first one; errnum 0: none yet */
};

static int pack_notification(struct publication *publication, char **ret_body, size_t *ret_length,
                             struct error *err)
{
    const struct sending *sending = CONTAINER_OF(publication, struct sending, publication);
    const struct outgoing *outgoing = sending->outgoing;
    char unique_id[ID_HEX_SIZE];
    id_new_hex(unique_id);
    if (json_object_set_new(outgoing->message, "_unique_id", json_string(unique_id)) < 0)
        return error_nomem(err);
    return oslo_message_pack(outgoing->message, outgoing->enveloped, ret_body, ret_length, err);
}

/* The first is told. */
static void note_failure(struct outgoing *outgoing, const char *routing_key,
                         const struct error *error)
{
    if (outgoing->failure.errnum != 0)
        return;
    outgoing->failure = *error;
    (void)error_prepend(&outgoing->failure, "notification to '%s'", routing_key);
}

/* After a lost connection oslo sends again as well. */
static void notification_finished(struct publication *publication, enum publication_outcome outcome,
                                  const struct error *error)
{
    struct sending *sending = CONTAINER_OF(publication, struct sending, publication);
    struct outgoing *outgoing = sending->outgoing;
    if (outcome == PUBLICATION_UNCERTAIN) {
        publisher_submit(outgoing->publisher, publication);
        return;
    }
    if (outcome != PUBLICATION_CONFIRMED)
        note_failure(outgoing, sending->routing_key, error);
    if (--outgoing->n_left == 0)
        bus_work_done(&outgoing->work, -outgoing->failure.errnum, &outgoing->failure);
}

static void start_notification(struct bus_work *work)
{
    struct outgoing *outgoing = CONTAINER_OF(work, struct outgoing, work);
    for (unsigned i = 0; i < outgoing->n_sendings; i++)
        publisher_submit(outgoing->publisher, &outgoing->sendings[i].publication);
}

static int set_routing_key(struct sending *sending, const char *topic, const char *priority,
                           struct error *err)
{
    char *key = sending->routing_key;
    int n = snprintf(key, ROUTING_KEY_MAX_BYTES, "%s.%s", topic, priority);
    if (n < 0 || n >= ROUTING_KEY_MAX_BYTES)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "notification topic is too long");
    for (char *c = key + strlen(topic); *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    return 0;
}

/* Adds one for each topic that can have one. */
static void add_sendings(const struct bus_settings *settings, char *const *topics,
                         const char *priority, struct outgoing *outgoing)
{
    uint64_t deadline_ms = clock_now_ms() + (uint64_t)settings->rpc_response_timeout_s * 1000;
    for (; *topics; topics++) {
        struct error error = ERROR_INIT;
        struct sending *sending = &outgoing->sendings[outgoing->n_sendings];
        if (set_routing_key(sending, *topics, priority, &error) < 0) {
            note_failure(outgoing, *topics, &error);
            continue;
        }
        sending->outgoing = outgoing;
        sending->publication = (struct publication){
            .exchange = settings->control_exchange,
            .routing_key = sending->routing_key,
            .with_queue = true,
            .deadline_ms = deadline_ms,
            .cancel = cancel_current(),
            .pack = pack_notification,
            .finished = notification_finished,
        };
        outgoing->n_sendings++;
    }
}

static int send_to_topics(struct bus *bus, const struct notification *notification, json_t *message,
                          bool enveloped, struct error *err)
{
    const struct bus_settings *settings = &bus->settings;
    char *const *topics = notification->kind == NOTIFICATION_LEGACY
                              ? settings->notification_topics
                              : settings->versioned_notification_topics;
    size_t n_topics = 0;
    while (topics[n_topics])
        n_topics++;
    cleanup_free struct sending *sendings = calloc(n_topics + 1, sizeof(*sendings));
    if (!sendings)
        return error_nomem(err);
    struct outgoing outgoing = {.work.start = start_notification,
                                .publisher = bus->notification_publisher,
                                .message = message,
                                .enveloped = enveloped,
                                .sendings = sendings};
    add_sendings(settings, topics, notification->priority, &outgoing);
    outgoing.n_left = outgoing.n_sendings;
    uint64_t start_ms = clock_now_ms();
    int r = -outgoing.failure.errnum;
    if (outgoing.n_sendings > 0)
        r = bus_work_run(&bus->works, &outgoing.work, &outgoing.failure);
    if (r < 0) {
        *err = outgoing.failure;
        return r;
    }
    log_debug("notification %s to %u topic(s) confirmed after %" PRIu64 " ms",
              notification->event_type, outgoing.n_sendings, clock_now_ms() - start_ms);
    return 0;
}

static void write_to_log(const struct notification *notification, const json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    enum log_level level =
        strcmp(notification->priority, "ERROR") == 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    if (text)
        log_write(level, LOG_HERE, "oslo.messaging.notification.%s %s", notification->event_type,
                  text);
    free(text);
}

static int send_by_driver(struct bus *bus, const char *driver,
                          const struct notification *notification, json_t *message,
                          struct error *err)
{
    bool enveloped = strcmp(driver, "messagingv2") == 0;
    if (enveloped || strcmp(driver, "messaging") == 0)
        return send_to_topics(bus, notification, message, enveloped, err);
    if (strcmp(driver, "log") == 0)
        write_to_log(notification, message);
    return 0;
}

int notifier_notify(struct bus *bus, const struct notification *notification, struct error *err)
{
    BUS_SCOPE(bus);
    json_t *message = NULL;
    int result = notification_message(notification, &message, err);
    if (result < 0)
        return result;
    for (char *const *driver = bus->settings.notification_drivers; *driver; driver++) {
        struct error error = ERROR_INIT;
        int r = send_by_driver(bus, *driver, notification, message, &error);
        if (r < 0 && result == 0) {
            *err = error;
            result = r;
        }
    }
    json_decref(message);
    return result;
}
