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

#include "common/cleanup.h"
#include "common/log_journal.h"
#include "common/text.h"

#define LINE_MAX_BYTES 4096
#define ALL_MODULES (~0U)

/* How a line begins, and where it goes. */
enum style {
    STYLE_TIME,     /* with the time: a file, a terminal */
    STYLE_PRIORITY, /* with "<N>", sd-daemon(3): what becomes of stderr knows the time */
    STYLE_JOURNAL,  /* to the journal, with fields */
};

/* The rooms of the agent; the place of each is its bit. */
static const char *const modules[] = {"agent", "amqp",    "cinder_client", "common",
                                      "conf",  "control", "driver",        "glance_client"};

static const int priorities[] = {3, 4, 6, 7}; /* sd-daemon(3) */

static _Atomic enum log_level max_level = LOG_LEVEL_INFO;
static _Atomic unsigned debug_modules = ALL_MODULES;
static enum style style;

static _Thread_local char context_request_id[64];
static _Thread_local char context_instance_uuid[40];
static _Thread_local char context_image_id[40];

void log_set_level(enum log_level level)
{
    max_level = level;
}

void log_init(enum log_level level)
{
    log_set_level(level);
    const char *stream = getenv("JOURNAL_STREAM"); /* NOLINT(concurrency-mt-unsafe): no threads */
    if (!stream)
        style = STYLE_TIME;
    else
        style = log_journal_is_stderr(stream) ? STYLE_JOURNAL : STYLE_PRIORITY;
}

/* 0 when it is none of the rooms. */
static unsigned module_bit(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
        if (strlen(modules[i]) == length && memcmp(modules[i], name, length) == 0)
            return 1U << i;
    return 0;
}

bool log_is_module(const char *name)
{
    return module_bit(name, strlen(name)) != 0;
}

void log_set_debug_modules(const char *const *names)
{
    unsigned chosen = 0;
    for (; names && *names; names++)
        chosen |= module_bit(*names, strlen(*names));
    debug_modules = chosen != 0 ? chosen : ALL_MODULES;
}

/* The file within the tree: a compiler may have been given "./x", or a path from the root. */
static const char *file_in_tree(const char *file)
{
    static const char own_file[] = __FILE__;
    const size_t root_length = strlen(own_file) - strlen("common/log.c");
    return strncmp(file, own_file, root_length) == 0 ? file + root_length : file;
}

static bool is_chosen_module(const char *file)
{
    const unsigned chosen = debug_modules;
    if (chosen == ALL_MODULES)
        return true;
    const char *module = file_in_tree(file);
    return (chosen & module_bit(module, strcspn(module, "/"))) != 0;
}

/* Copied as far as there is room. Text from outside must not be able to forge a second line, here
 * and below. */
static void set_field(char *field, size_t size, const char *value)
{
    (void)snprintf(field, size, "%s", value ? value : "");
    text_make_whole(field);
}

void log_set_context(const char *request_id, const char *instance_uuid)
{
    set_field(context_request_id, sizeof(context_request_id), request_id);
    set_field(context_instance_uuid, sizeof(context_instance_uuid), instance_uuid);
    context_image_id[0] = '\0';
}

void log_set_image(const char *image_id)
{
    set_field(context_image_id, sizeof(context_image_id), image_id);
}

enum log_level log_get_level(void)
{
    return max_level;
}

bool log_enabled(enum log_level level)
{
    return level <= max_level;
}

static size_t add_text(char *line, size_t used, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t add_text(char *line, size_t used, const char *format, ...)
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

static size_t add_time(char *line)
{
    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &tm);
    size_t used = strftime(line, LINE_MAX_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
    return add_text(line, used, ".%03ld ", now.tv_nsec / 1000000);
}

static size_t add_head(char *line, enum log_level level)
{
    static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
    size_t used = 0;
    if (style == STYLE_TIME)
        used = add_time(line);
    else if (style == STYLE_PRIORITY)
        used = add_text(line, 0, "<%d>", priorities[level]);
    else
        used = add_text(line, 0, LOG_JOURNAL_MESSAGE);
    used = add_text(line, used, "%s [%s", names[level],
                    context_request_id[0] != '\0' ? context_request_id : "-");
    if (context_instance_uuid[0] != '\0')
        used = add_text(line, used, " instance: %s", context_instance_uuid);
    return add_text(line, used, "] ");
}

/* False when the journal does not take it. */
static bool send_to_journal(const char *line, enum log_level level, const struct log_place *place)
{
    const struct log_journal_entry entry = {
        .message = line,
        .priority = priorities[level],
        .file = file_in_tree(place->file),
        .line = place->line,
        .function = place->function,
        .request_id = context_request_id,
        .instance_uuid = context_instance_uuid,
        .image_id = context_image_id,
    };
    return log_journal_send(&entry);
}

void log_write(enum log_level level, const struct log_place *place, const char *format, ...)
{
    if (!log_enabled(level) || (level == LOG_LEVEL_DEBUG && !is_chosen_module(place->file)))
        return;
    int saved_errno = errno;
    char line[LINE_MAX_BYTES];
    size_t used = add_head(line, level);
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line + used, sizeof(line) - used - 1, format, ap);
    va_end(ap);
    if (n > 0) {
        text_make_whole(line + used);
        used += strlen(line + used);
    }
    if (style != STYLE_JOURNAL || !send_to_journal(line, level, place)) {
        size_t skipped = style == STYLE_JOURNAL ? strlen(LOG_JOURNAL_MESSAGE) : 0;
        line[used++] = '\n';
        (void)!write(STDERR_FILENO, line + skipped, used - skipped);
    }
    errno = saved_errno;
}
