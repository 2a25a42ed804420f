/* SPDX-License-Identifier: Apache-2.0 */
/* A session without a libvirt, whose record is in the test's folder. */
#pragma once

#include "domain/session.h"
#include "tests/unit/driver/temp_folder.h"

#define UUID "2e0af6cc-8dab-4d5d-b039-8bb41cec430e"

static struct libvirt_driver session_driver;

/* Fails the test when it cannot be made. To be ended by session_of_test_end(). */
static inline void session_of_test_begin(struct session *session)
{
    struct error error = ERROR_INIT;
    static char work[64];
    (void)snprintf(work, sizeof(work), "%s/work", temp_folder);
    session_driver.snapshots_directory = work;
    *session = (struct session){.driver = &session_driver, .state_dir = temp_folder, .uuid = UUID};
    if (record_open(temp_folder, UUID, &session->record, &error) < 0)
        fail_msg("%s", error.message);
}

static inline void session_of_test_end(struct session *session)
{
    record_close(session->record);
}
