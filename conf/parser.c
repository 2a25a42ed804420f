/* SPDX-License-Identifier: Apache-2.0 */
/* See parser.h. */
#include "conf/parser.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/secret.h"
#include "conf/blank.h"

struct parser {
    struct assignments *out;
    unsigned line;
    char *group;
    char *name; /* of the assignment that is being read, NULL between two */
    char *value;
    unsigned name_line;
};

/* `text` NULL: it is not shown, part of a secret may be in it. */
static int fail_at(const struct parser *parser, const char *what, const char *text, int length,
                   struct error *err)
{
    const char *file = parser->out->files[parser->out->n_files - 1];
    if (!text)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s:%u: %s", file, parser->line, what);
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s:%u: %s: '%.*s'", file, parser->line, what,
                     length > 80 ? 80 : length, text);
}

/* Gives the finished assignment to the list. */
static int flush_assignment(struct parser *parser, struct error *err)
{
    if (!parser->name)
        return 0;
    if (!parser->group)
        return fail_at(parser, "a section must be started before", parser->name,
                       (int)strlen(parser->name), err);
    int r = assignments_add(parser->out, parser->group, parser->name, parser->value,
                            parser->name_line, err);
    if (r == 0)
        parser->name = parser->value = NULL;
    return r;
}

static const char *trim_end(const char *text, const char *end)
{
    return end - blank_at_end(text, (size_t)(end - text));
}

static int start_section(struct parser *parser, const char *text, const char *end,
                         struct error *err)
{
    if (end[-1] != ']')
        return fail_at(parser, "a section must end with ]", text, (int)(end - text), err);
    if (end - text <= 2)
        return fail_at(parser, "a section has no name", text, (int)(end - text), err);
    char *group = strndup(text + 1, (size_t)(end - text - 2));
    if (!group)
        return error_nomem(err);
    free(parser->group);
    parser->group = group;
    return 0;
}

static const char *find_delimiter(const char *text, const char *end)
{
    for (; text < end; text++)
        if (*text == '=' || *text == ':')
            return text;
    return NULL;
}

static int start_assignment(struct parser *parser, const char *text, const char *end,
                            struct error *err)
{
    const char *delimiter = find_delimiter(text, end);
    if (!delimiter)
        return fail_at(parser, "neither ':' nor '=' in the line", NULL, 0, err);
    size_t name_length = (size_t)(delimiter - text);
    const char *name = blank_trim(text, &name_length);
    if (name_length == 0)
        return fail_at(parser, "an option has no name", NULL, 0, err);
    size_t length = (size_t)(end - delimiter) - 1;
    const char *value = blank_trim(delimiter + 1, &length);
    if (length > 0 && (*value == '"' || *value == '\'') && value[length - 1] == *value) {
        value++;
        length = length > 1 ? length - 2 : 0; /* a lone quote is empty, as in oslo */
    }
    parser->name = strndup(name, name_length);
    parser->value = strndup(value, length);
    parser->name_line = parser->line;
    return parser->name && parser->value ? 0 : error_nomem(err);
}

static int continue_value(struct parser *parser, const char *text, const char *end,
                          struct error *err)
{
    if (!parser->name)
        return fail_at(parser, "a continuation of nothing", NULL, 0, err);
    text += blank_at_start(text, (size_t)(end - text));
    char *value;
    if (asprintf(&value, "%s\n%.*s", parser->value, (int)(end - text), text) < 0)
        return error_nomem(err);
    secret_free(parser->value);
    parser->value = value;
    return 0;
}

static int read_line(struct parser *parser, const char *text, const char *end, struct error *err)
{
    parser->line++;
    end = trim_end(text, end);
    if (text < end && (*text == ' ' || *text == '\t'))
        return continue_value(parser, text, end, err);
    int r = flush_assignment(parser, err);
    if (r < 0 || text == end || *text == '#' || *text == ';')
        return r;
    return *text == '[' ? start_section(parser, text, end, err)
                        : start_assignment(parser, text, end, err);
}

static int read_lines(struct parser *parser, const char *text, size_t length, struct error *err)
{
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        int r = read_line(parser, text, newline ? newline : end, err);
        if (r < 0)
            return r;
        text = newline ? newline + 1 : end;
    }
    return flush_assignment(parser, err);
}

int parser_read_text(struct assignments *assignments, const char *name, const char *text,
                     size_t length, struct error *err)
{
    struct parser parser = {.out = assignments};
    int r = assignments_start_file(assignments, name, err);
    if (r < 0)
        return r;
    if (length > 0 && memchr(text, '\0', length))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s: this is no text file", name);
    r = read_lines(&parser, text, length, err);
    free(parser.group);
    free(parser.name);
    secret_free(parser.value);
    return r;
}

/* The text of a file in memory; secrets stand in it. */
struct text {
    char *bytes;
    size_t length, size;
};

static void text_done(struct text *text)
{
    if (text->bytes)
        explicit_bzero(text->bytes, text->length);
    free(text->bytes);
}

static int text_grow(struct text *text, struct error *err)
{
    size_t size = text->size == 0 ? 16384 : 2 * text->size;
    struct text grown = {malloc(size), text->length, size};
    if (!grown.bytes)
        return error_nomem(err);
    if (text->length > 0)
        memcpy(grown.bytes, text->bytes, text->length);
    text_done(text);
    *text = grown;
    return 0;
}

static int text_read(struct text *text, int fd, const char *path, struct error *err)
{
    for (;;) {
        if (text->length > PARSER_FILE_MAX_BYTES)
            return error_set(err, EFBIG, EXC_INTERNAL_ERROR, "%s is larger than %u bytes", path,
                             PARSER_FILE_MAX_BYTES);
        int r = text->length == text->size ? text_grow(text, err) : 0;
        if (r < 0)
            return r;
        ssize_t n = read(fd, text->bytes + text->length, text->size - text->length);
        if (n < 0)
            return error_errno(err, errno, "cannot read %s", path);
        if (n == 0)
            return 0;
        text->length += (size_t)n;
    }
}

int parser_read_file(struct assignments *assignments, const char *path, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_errno(err, errno, "cannot open configuration file %s", path);
    struct text text = {0};
    int r = text_read(&text, fd, path, err);
    if (r == 0)
        r = parser_read_text(assignments, path, text.bytes, text.length, err);
    text_done(&text);
    return r;
}

static int is_conf_file(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + length - 5, ".conf") == 0;
}

int parser_read_dir(struct assignments *assignments, const char *path, struct error *err)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_conf_file, alphasort);
    if (n < 0)
        return error_errno(err, errno, "cannot read configuration folder %s", path);
    int r = 0;
    for (int i = 0; i < n; i++) {
        char file[PATH_MAX];
        (void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (r == 0)
            r = parser_read_file(assignments, file, err);
        free(entries[i]);
    }
    free(entries);
    return r;
}
