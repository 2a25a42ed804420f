/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr, where systemd's journal or the operator's redirection takes them:
 *   2026-11-23 04:48:57.123 INFO [req-... instance: <uuid>] message
 * Under a journal (JOURNAL_STREAM set) the time is left out. Where stderr is the journal itself, an
 * entry has fields besides: REQUEST_ID, INSTANCE_UUID, IMAGE_ID, CODE_FILE, CODE_LINE, CODE_FUNC;
 * elsewhere a "<N>" priority is put in front of the line.
 *
 * Thread-safe; one system call per line and none for a line that is not written; errno is
 * preserved. Never pass a token, a password, a service catalog or secure domain XML.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Where a line is from. Static text, borrowed for the call. */
struct log_place {
    const char *file; /* as the compiler was given it */
    int line;
    const char *function;
};

/* Chooses what is written, and how; call before threads start. */
void log_init(enum log_level max_level);

/* Chooses anew, at any time. */
void log_set_level(enum log_level max_level);
enum log_level log_get_level(void);

/*
 * The rooms whose debug lines are written, by the names of their folders: "amqp", "driver". NULL or
 * an empty list: all. NULL-ended, not kept; at any time. What is no room is ignored.
 */
void log_set_debug_modules(const char *const *modules);

/* True when it is one of these rooms. */
bool log_is_module(const char *name);

/*
 * Sets the context that this thread's lines carry, until the next call. Both strings are copied
 * and may be NULL: request id as in nova ("req-..."), instance uuid. There is no image then.
 */
void log_set_context(const char *request_id, const char *instance_uuid);

/* Adds the image's id to the context: a field of the journal, not part of the line. Copied. */
void log_set_image(const char *image_id);

/* Whether lines of the level are written; debug lines perhaps of some rooms only. */
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const struct log_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_HERE (&(const struct log_place){__FILE__, __LINE__, __func__})
#define log_error(...) log_write(LOG_LEVEL_ERROR, LOG_HERE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, LOG_HERE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, LOG_HERE, __VA_ARGS__)
#define log_debug(...) /* what it is given is not reckoned for nothing */                          \
    (log_enabled(LOG_LEVEL_DEBUG) ? log_write(LOG_LEVEL_DEBUG, LOG_HERE, __VA_ARGS__) : (void)0)
