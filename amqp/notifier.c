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
#include "common/clock.h"
#include "common/id.h"
#include "common/log.h"

#define ROUTING_KEY_MAX_BYTES 256

/* A message on its way to one topic, on the stack of the thread that waits for it. */
struct sending {
    struct bus_work work;
    struct publication publication;
    struct publisher *publisher; /* looked into by the bus thread only */
    json_t *message;
    bool enveloped;
};

/* What all topics are sent. */
struct outgoing {
    const struct notification *notification;
    json_t *message;
    uint64_t deadline_ms;
};

static int pack_notification(struct publication *publication, char **ret_body, size_t *ret_length,
                             struct error *err)
{
    const struct sending *sending = CONTAINER_OF(publication, struct sending, publication);
    char unique_id[ID_HEX_SIZE];
    id_new_hex(unique_id);
    if (json_object_set_new(sending->message, "_unique_id", json_string(unique_id)) < 0)
        return error_nomem(err);
    return oslo_message_pack(sending->message, sending->enveloped, ret_body, ret_length, err);
}

/* After a lost connection oslo sends again as well. */
static void notification_finished(struct publication *publication, enum publication_outcome outcome,
                                  const struct error *error)
{
    struct sending *sending = CONTAINER_OF(publication, struct sending, publication);
    if (outcome == PUBLICATION_UNCERTAIN)
        publisher_submit(sending->publisher, publication);
    else if (outcome == PUBLICATION_CONFIRMED)
        bus_work_done(&sending->work, 0, NULL);
    else
        bus_work_done(&sending->work, -error->errnum, error);
}

static void start_notification(struct bus_work *work)
{
    struct sending *sending = CONTAINER_OF(work, struct sending, work);
    publisher_submit(sending->publisher, &sending->publication);
}

static int send_to_topic(struct bus *bus, const char *topic, bool enveloped,
                         const struct outgoing *outgoing, struct error *err)
{
    const struct notification *notification = outgoing->notification;
    char routing_key[ROUTING_KEY_MAX_BYTES];
    int n = snprintf(routing_key, sizeof(routing_key), "%s.%s", topic, notification->priority);
    if (n < 0 || (size_t)n >= sizeof(routing_key))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "notification topic is too long");
    for (char *c = routing_key + strlen(topic); *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    struct sending sending = {
        .work.start = start_notification,
        .publication = {.exchange = bus->settings.control_exchange,
                        .routing_key = routing_key,
                        .with_queue = true,
                        .deadline_ms = outgoing->deadline_ms,
                        .pack = pack_notification,
                        .finished = notification_finished},
        .publisher = bus->notification_publisher,
        .message = outgoing->message,
        .enveloped = enveloped,
    };
    uint64_t start_ms = clock_now_ms();
    int r = bus_work_run(&bus->works, &sending.work, err);
    if (r < 0)
        return error_prepend(err, "notification to '%s'", routing_key);
    log_debug("notification %s to %s confirmed after %" PRIu64 " ms", notification->event_type,
              routing_key, clock_now_ms() - start_ms);
    return 0;
}

/* The first failure is told; the other topics are still served. */
static int send_to_topics(struct bus *bus, bool enveloped, const struct outgoing *outgoing,
                          struct error *err)
{
    const struct bus_settings *settings = &bus->settings;
    char *const *topics = outgoing->notification->kind == NOTIFICATION_LEGACY
                              ? settings->notification_topics
                              : settings->versioned_notification_topics;
    int result = 0;
    for (; *topics; topics++) {
        struct error error = ERROR_INIT;
        int r = send_to_topic(bus, *topics, enveloped, outgoing, &error);
        if (r < 0 && result == 0) {
            *err = error;
            result = r;
        }
    }
    return result;
}

static void write_to_log(const struct outgoing *outgoing)
{
    const struct notification *notification = outgoing->notification;
    char *text = json_dumps(outgoing->message, JSON_COMPACT);
    enum log_level level =
        strcmp(notification->priority, "ERROR") == 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO;
    if (text)
        log_write(level, LOG_HERE, "oslo.messaging.notification.%s %s", notification->event_type,
                  text);
    free(text);
}

static int send_by_driver(struct bus *bus, const char *driver, struct outgoing *outgoing,
                          struct error *err)
{
    bool enveloped = strcmp(driver, "messagingv2") == 0;
    outgoing->deadline_ms = clock_now_ms() + (uint64_t)bus->settings.rpc_response_timeout_s * 1000;
    if (enveloped || strcmp(driver, "messaging") == 0)
        return send_to_topics(bus, enveloped, outgoing, err);
    if (strcmp(driver, "log") == 0)
        write_to_log(outgoing);
    return 0;
}

int notifier_notify(struct bus *bus, const struct notification *notification, struct error *err)
{
    BUS_SCOPE(bus);
    struct outgoing outgoing = {.notification = notification};
    int result = notification_message(notification, &outgoing.message, err);
    if (result < 0)
        return result;
    for (char *const *driver = bus->settings.notification_drivers; *driver; driver++) {
        struct error error = ERROR_INIT;
        int r = send_by_driver(bus, *driver, &outgoing, &error);
        if (r < 0 && result == 0) {
            *err = error;
            result = r;
        }
    }
    json_decref(outgoing.message);
    return result;
}
