/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/call_monitor.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "amqp/call_monitor.h"
#include "common/clock.h"

static void add_call(struct call_monitor *monitor, const char *msg_id, unsigned timeout_s)
{
    const struct rpc_request request = {.msg_id = (char *)(uintptr_t)msg_id,
                                        .reply_q = (char[]){"q"},
                                        .call_monitor_timeout_s = timeout_s};
    call_monitor_add(monitor, &request);
}

static void a_heartbeat_is_due_at_half_the_timeout(void **state)
{
    (void)state;
    struct call_monitor monitor;
    call_monitor_init(&monitor);
    assert_true(call_monitor_next_ms(&monitor) == NEVER_MS);
    add_call(&monitor, "a", 20);
    uint64_t due_ms = call_monitor_next_ms(&monitor);
    assert_in_range(due_ms, clock_now_ms(), clock_now_ms() + 10000);
    assert_null(call_monitor_due(&monitor, due_ms - 1));
    assert_string_equal(call_monitor_due(&monitor, due_ms)->msg_id, "a");
    assert_null(call_monitor_due(&monitor, due_ms));
    assert_int_equal(call_monitor_next_ms(&monitor), due_ms + 10000);
    call_monitor_clear(&monitor);
}

static void each_call_has_its_own(void **state)
{
    (void)state;
    struct call_monitor monitor;
    call_monitor_init(&monitor);
    add_call(&monitor, "a", 2);
    add_call(&monitor, "b", 2000);
    add_call(&monitor, "cast", 0);
    add_call(&monitor, NULL, 2);
    assert_int_equal(monitor.n_calls, 2);
    uint64_t due_ms = call_monitor_next_ms(&monitor);
    assert_string_equal(call_monitor_due(&monitor, due_ms)->msg_id, "a");
    call_monitor_remove(&monitor, "a");
    call_monitor_remove(&monitor, "unknown");
    assert_null(call_monitor_due(&monitor, due_ms + 2000));
    call_monitor_clear(&monitor);
    assert_int_equal(monitor.n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heartbeat_is_due_at_half_the_timeout),
        cmocka_unit_test(each_call_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
