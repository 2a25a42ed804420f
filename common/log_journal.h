/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of systemd's journal with fields of its own. For log.c alone. Thread-safe. */
#pragma once

#include <stdbool.h>

/* In front of the text of every entry. */
#define LOG_JOURNAL_MESSAGE "MESSAGE="

/* All is borrowed; "" = there is no such field. */
struct log_journal_entry {
    const char *message; /* behind LOG_JOURNAL_MESSAGE */
    int priority;        /* 3 to 7, as in sd-daemon(3) */
    const char *file;
    int line;
    const char *function;
    const char *request_id, *instance_uuid, *image_id;
};

/*
 * Whether stderr is the journal's own stream: JOURNAL_STREAM names its device and inode, but is
 * inherited by whoever has been given another stderr (systemd.exec(5)).
 */
bool log_journal_is_stderr(const char *journal_stream);

/* False when the journal does not take it. */
bool log_journal_send(const struct log_journal_entry *entry);
