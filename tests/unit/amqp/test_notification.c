/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/notification.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/notification.h"
#include "common/cleanup.h"
#include "common/json.h"
#include "fixture.h"

/* The trace has the request of a snapshot and the notification nova-compute sent for it. */
static void a_notification_is_novas(void **state)
{
    (void)state;
    json_t *captured = message_of("notification.json");
    json_t *cast = message_of("notification_request.json");
    struct request_context *context = NULL;
    json_t *message = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_from_message(cast, &context, &err), 0);
    assert_string_equal(context->auth_token, "user-token");
    const struct notification notification = {.context = context,
                                              .publisher_id = "compute.cmp1",
                                              .event_type = "compute.instance.snapshot.start",
                                              .priority = "INFO",
                                              .payload = json_object()};
    assert_int_equal(notification_message(&notification, &message, &err), 0);
    /* These are new in every message; only their form can be compared. */
    static const char *const fresh[] = {"message_id", "timestamp", "_context_timestamp"};
    for (size_t i = 0; i < ARRAY_SIZE(fresh); i++) {
        const char *ours = json_string_member(message, fresh[i]);
        const char *theirs = json_string_member(captured, fresh[i]);
        assert_int_equal(strlen(ours), strlen(theirs));
        for (size_t c = 0; ours[c] != '\0'; c++)
            if (strchr("-: .T", theirs[c]))
                assert_int_equal(ours[c], theirs[c]);
        json_object_del(message, fresh[i]);
        json_object_del(captured, fresh[i]);
    }
    json_object_del(captured, "_unique_id");
    if (!json_equal(message, captured)) {
        char *ours = json_dumps(message, JSON_SORT_KEYS);
        char *theirs = json_dumps(captured, JSON_SORT_KEYS);
        fail_msg("ours %s\ntheirs %s", ours, theirs);
    }
    json_decref(message);
    json_decref(captured);
    json_decref(cast);
    request_context_free(context);
}

static void nothing_secret_is_sent(void **state)
{
    (void)state;
    json_t *cast = json_pack("{s:s, s:[{}], s:s, s:s, s:s}", "_context_auth_token", "secret",
                             "_context_service_catalog", "_context_remote_address", "secret",
                             "_context_unknown", "secret", "_context_request_id", "req-1");
    struct request_context *context = NULL;
    json_t *message = NULL;
    struct error err = ERROR_INIT;
    assert_int_equal(request_context_from_message(cast, &context, &err), 0);
    const struct notification notification = {.context = context,
                                              .publisher_id = "p",
                                              .event_type = "e",
                                              .priority = "ERROR",
                                              .payload = json_null()};
    assert_int_equal(notification_message(&notification, &message, &err), 0);
    char *text = json_dumps(message, 0);
    assert_null(strstr(text, "secret"));
    assert_non_null(strstr(text, "req-1"));
    free(text);
    json_decref(message);
    json_decref(cast);
    request_context_free(context);
}

static void drivers_are_oslos(void **state)
{
    (void)state;
    assert_true(notification_knows_driver("messagingv2"));
    assert_true(notification_knows_driver("messaging"));
    assert_true(notification_knows_driver("noop"));
    assert_true(notification_knows_driver("log"));
    assert_false(notification_knows_driver("test"));
    assert_false(notification_knows_driver("routing"));
    assert_false(notification_knows_driver(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notification_is_novas),
        cmocka_unit_test(nothing_secret_is_sent),
        cmocka_unit_test(drivers_are_oslos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
