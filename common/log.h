/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr, where systemd's journal or the operator's redirection takes them:
 *   2026-11-23 04:48:57.123 INFO [req-... instance: <uuid>] message
 * Under a journal (JOURNAL_STREAM set) the time is left out and "<N>" priorities are put in front.
 *
 * Thread-safe; one write(2) per line; errno is preserved. Never pass a token, a password, a service
 * catalog or secure domain XML.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Chooses what is written; call once before threads start. */
void log_init(enum log_level max_level);

/* Chooses anew, at any time. */
void log_set_level(enum log_level max_level);

/*
 * Sets the context that this thread's lines carry, until the next call. Both strings are copied
 * and may be NULL: request id as in nova ("req-..."), instance uuid.
 */
void log_set_context(const char *request_id, const char *instance_uuid);

bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
