/* SPDX-License-Identifier: Apache-2.0 */
/* See log_journal.h. */
#define SD_JOURNAL_SUPPRESS_LOCATION /* a line's place is its caller's */
#include "common/log_journal.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define FIELDS_MAX 8 /* with the message */
#define FIELD_MAX_BYTES 256

struct fields {
    char texts[FIELDS_MAX][FIELD_MAX_BYTES];
    struct iovec items[FIELDS_MAX];
    int count;
};

bool log_journal_is_stderr(const char *journal_stream)
{
    unsigned long long device, inode;
    struct stat st;
    /* Without the socket libsystemd would lose the entries and say nothing. */
    return sscanf(journal_stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode &&
           access(JOURNAL_SOCKET, W_OK) == 0;
}

static void add_field(struct fields *fields, const char *name, const char *value)
{
    char *text = fields->texts[fields->count];
    if (value[0] == '\0')
        return;
    (void)snprintf(text, FIELD_MAX_BYTES, "%s=%s", name, value);
    fields->items[fields->count++] = (struct iovec){text, strlen(text)};
}

static void add_number(struct fields *fields, const char *name, int value)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", value);
    add_field(fields, name, text);
}

bool log_journal_send(const struct log_journal_entry *entry)
{
    struct fields fields = {.count = 1};
    fields.items[0] = (struct iovec){(char *)(uintptr_t)entry->message, strlen(entry->message)};
    add_number(&fields, "PRIORITY", entry->priority);
    add_field(&fields, "CODE_FILE", entry->file);
    add_number(&fields, "CODE_LINE", entry->line);
    add_field(&fields, "CODE_FUNC", entry->function);
    add_field(&fields, "REQUEST_ID", entry->request_id);
    add_field(&fields, "INSTANCE_UUID", entry->instance_uuid);
    add_field(&fields, "IMAGE_ID", entry->image_id);
    return sd_journal_sendv(fields.items, fields.count) == 0;
}
