/* SPDX-License-Identifier: Apache-2.0 */
/* See secret.h. */
#include "common/secret.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define STARS "***"
#define FORM_SIZE 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static const char **watched;
static size_t watched_count;

bool secret_watch(const char *secret)
{
    if (!secret)
        return true;
    LOCK_SCOPE(&lock);
    const char **larger = reallocarray(watched, watched_count + 1, sizeof(*larger));
    if (!larger)
        return false;
    watched = larger;
    watched[watched_count++] = secret;
    return true;
}

void secret_unwatch(const char *secret)
{
    LOCK_SCOPE(&lock);
    for (size_t i = 0; secret && i < watched_count; i++) {
        if (watched[i] != secret)
            continue;
        watched[i] = watched[--watched_count];
        break;
    }
    if (watched_count > 0)
        return;
    free(watched);
    watched = NULL;
}

static size_t bytes_of_character(const char *secret)
{
    size_t n = 1;
    while (n < 4 && ((unsigned char)secret[0] & 0x80) && ((unsigned char)secret[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* Of one character of `n` bytes in UTF-8. */
static uint32_t code_point(const char *secret, size_t n)
{
    uint32_t code = (unsigned char)secret[0];
    if (n > 1)
        code &= 0x7fu >> n;
    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char)secret[i] & 0x3f);
    return code;
}

static void escape_as_json(uint32_t code, char form[static FORM_SIZE])
{
    if (code < 0x10000)
        (void)snprintf(form, FORM_SIZE, "\\u%04x", code);
    else
        (void)snprintf(form, FORM_SIZE, "\\u%04x\\u%04x", 0xd800 + (code - 0x10000) / 0x400,
                       0xdc00 + (code - 0x10000) % 0x400);
}

/* Those html.escape() knows; "" for others. */
static const char *entity_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#x27;";
    default:
        return "";
    }
}

/* How many bytes `form` takes at `text`, 0 when it is not there. */
static size_t begins_with(const char *text, const char *form)
{
    size_t n = strlen(form);
    return n > 0 && strncasecmp(text, form, n) == 0 ? n : 0;
}

/*
 * The ways of quoting. Each takes the next character off *secret and says how many bytes stand for
 * it at `text`; 0: something else is there.
 */
static size_t as_written(const char *text, const char **secret)
{
    bool same = text[0] == **secret;
    (*secret)++;
    return same;
}

/* Every text it is put into doubles the backslashes. */
static size_t in_json(const char *text, const char **secret)
{
    char form[FORM_SIZE];
    size_t slashes = strspn(text, "\\"), own = strspn(*secret, "\\");
    if (slashes < own)
        return 0;
    *secret += own;
    if (**secret == '\0')
        return slashes;
    size_t n = bytes_of_character(*secret);
    const char *character = *secret;
    *secret += n;
    if (strncmp(text + slashes, character, n) == 0)
        return slashes + n;
    if (slashes == 0)
        return 0;
    escape_as_json(code_point(character, n), form);
    size_t escape = begins_with(text + slashes - 1, form);
    return escape > 0 ? slashes - 1 + escape : 0;
}

static size_t in_url(const char *text, const char **secret)
{
    char form[FORM_SIZE];
    if (text[0] != '%')
        return as_written(text, secret);
    (void)snprintf(form, sizeof(form), "%%%02X", (unsigned char)*(*secret)++);
    return begins_with(text, form);
}

static size_t in_html(const char *text, const char **secret)
{
    char form[FORM_SIZE];
    if (text[0] != '&')
        return as_written(text, secret);
    const char c = *(*secret)++;
    (void)snprintf(form, sizeof(form), "&#%u;", (unsigned char)c);
    size_t entity = begins_with(text, entity_of(c));
    return entity > 0 ? entity : begins_with(text, form);
}

/* How many bytes at `text` stand for the whole secret, quoted this way; 0: it is not there. */
static size_t spelled_bytes(const char *text, const char *secret,
                            size_t (*quoted)(const char *text, const char **secret))
{
    size_t used = 0;
    while (*secret != '\0') {
        size_t n = quoted(text + used, &secret);
        if (n == 0)
            return 0;
        used += n;
    }
    return used;
}

/* The longest there is: one may begin with another. */
static size_t spelled_at(const char *text)
{
    static size_t (*const ways[])(const char *text, const char **secret) = {as_written, in_json,
                                                                            in_url, in_html};
    size_t longest = 0;
    for (size_t i = 0; i < watched_count; i++) {
        bool is_short = strnlen(watched[i], SECRET_MIN_BYTES) < SECRET_MIN_BYTES;
        for (size_t j = 0; !is_short && j < ARRAY_SIZE(ways); j++) {
            size_t n = spelled_bytes(text, watched[i], ways[j]);
            longest = n > longest ? n : longest;
        }
    }
    return longest;
}

void secret_strip(char *text)
{
    LOCK_SCOPE(&lock);
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        size_t n = spelled_at(from);
        if (n == 0) {
            *to++ = *from++;
            continue;
        }
        memcpy(to, STARS, strlen(STARS));
        to += strlen(STARS);
        from += n;
    }
    *to = '\0';
}

void secret_free(char *secret)
{
    if (!secret)
        return;
    secret_unwatch(secret);
    explicit_bzero(secret, strlen(secret));
    free(secret);
}
