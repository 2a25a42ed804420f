/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session on libvirt's own test driver, and its error. Its domain "test" runs and has no disk;
 * records and locks are in the test's folder.
 */
#pragma once

#include "domain/session.h"
#include "tests/unit/driver/temp_folder.h"

#define TEST_DRIVER "test:///default"

static struct error err = ERROR_INIT;
static struct session *session;

static inline void need(int r)
{
    if (r < 0)
        fail_msg("%s", err.message);
}

static inline int open_session(const char *uri, const char *name, bool looks_only)
{
    const struct session_options options = {.uri = uri,
                                            .state_dir = temp_folder,
                                            .lock_folder = temp_path("locks"),
                                            .looks_only = looks_only};
    return session_open(&options, name, &session, &err);
}

/* Of a set-up. */
static inline void begin_session(void)
{
    need(open_session(TEST_DRIVER, "test", false));
}

/* Of a tear-down: whatever is open, with what it has written down. */
static inline int end_session(void **state)
{
    (void)state;
    if (session && session->record)
        (void)record_end(session->record, &err);
    session_close(session);
    session = NULL;
    err = (struct error)ERROR_INIT;
    return 0;
}
