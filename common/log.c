/* SPDX-License-Identifier: Apache-2.0 */
/* See log.h. */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static _Atomic enum log_level max_level = LOG_LEVEL_INFO;
static bool journal;

static _Thread_local char context_request_id[64];
static _Thread_local char context_instance_uuid[40];

/* Text from outside must not be able to forge a second line. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = ' ';
}

void log_set_level(enum log_level level)
{
    max_level = level;
}

void log_init(enum log_level level)
{
    log_set_level(level);
    journal = getenv("JOURNAL_STREAM") != NULL; /* NOLINT(concurrency-mt-unsafe): before threads */
}

void log_set_context(const char *request_id, const char *instance_uuid)
{
    (void)snprintf(context_request_id, sizeof(context_request_id), "%s",
                   request_id ? request_id : "");
    (void)snprintf(context_instance_uuid, sizeof(context_instance_uuid), "%s",
                   instance_uuid ? instance_uuid : "");
    flatten(context_request_id);
    flatten(context_instance_uuid);
}

bool log_enabled(enum log_level level)
{
    return level <= max_level;
}

static size_t add(char *line, size_t used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t add(char *line, size_t used, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line + used, LINE_MAX_BYTES - used, format, ap);
    va_end(ap);
    if (n < 0)
        return used;
    size_t end = used + (size_t)n;
    return end < LINE_MAX_BYTES - 1 ? end : LINE_MAX_BYTES - 2;
}

static size_t add_head(char *line, enum log_level level)
{
    static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
    static const int priorities[] = {3, 4, 6, 7}; /* sd-daemon(3) */
    size_t used = 0;
    if (journal) {
        used = add(line, used, "<%d>", priorities[level]);
    } else {
        struct timespec now;
        struct tm tm;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        (void)localtime_r(&now.tv_sec, &tm);
        used += strftime(line, LINE_MAX_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
        used = add(line, used, ".%03ld ", now.tv_nsec / 1000000);
    }
    used = add(line, used, "%s [%s", names[level],
               context_request_id[0] != '\0' ? context_request_id : "-");
    if (context_instance_uuid[0] != '\0')
        used = add(line, used, " instance: %s", context_instance_uuid);
    return add(line, used, "] ");
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    int saved_errno = errno;
    char line[LINE_MAX_BYTES];
    size_t used = add_head(line, level);
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line + used, sizeof(line) - used - 1, format, ap);
    va_end(ap);
    if (n > 0) {
        flatten(line + used);
        used += strlen(line + used);
    }
    line[used++] = '\n';
    (void)!write(STDERR_FILENO, line, used);
    errno = saved_errno;
}
