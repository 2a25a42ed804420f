/* SPDX-License-Identifier: Apache-2.0 */
/* See transport_url_text.h. */
#include "common/transport_url_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"
#include "common/secret.h"

#define URL_MAX_BYTES 16384

int transport_url_text_bad(struct error *err, const char *what)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "transport_url: %s", what);
}

int transport_url_text_unquote(const char *text, size_t length, bool plus_is_space, char **ret_text,
                               struct error *err)
{
    char *out = malloc(length + 1);
    if (!out)
        return error_nomem(err);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int high = text[i] == '%' && length - i > 2 ? hex_value(text[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text[i + 2]) : -1;
        if (low >= 0) {
            out[used++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[used++] = plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    out[used] = '\0';
    *ret_text = out;
    return 0;
}

const char *transport_url_text_trim(const char *text, size_t *length)
{
    while (*length > 0 && *text == ' ') {
        text++;
        --*length;
    }
    while (*length > 0 && text[*length - 1] == ' ')
        --*length;
    return text;
}

/* urllib.parse.urlsplit */
int transport_url_text_clean(const char *text, char **ret_clean, struct error *err)
{
    size_t length = strlen(text), used = 0;
    if (length > URL_MAX_BYTES)
        return transport_url_text_bad(err, "longer than 16384 bytes");
    text = transport_url_text_trim(text, &length);
    char *clean = malloc(length + 1);
    if (!clean)
        return error_nomem(err);
    for (size_t i = 0; i < length; i++)
        if (!strchr("\t\r\n", text[i]))
            clean[used++] = text[i];
    clean[used] = '\0';
    const char *wrong = strstr(clean, "%00") ? "contains %00" : NULL;
    for (const char *c = clean; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            wrong = "contains a control character";
    if (wrong) {
        secret_free(clean);
        return transport_url_text_bad(err, wrong);
    }
    *ret_clean = clean;
    return 0;
}
