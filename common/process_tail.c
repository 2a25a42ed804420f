/* SPDX-License-Identifier: Apache-2.0 */
/* What a child process said last. See process_child.h. */
#include <string.h>

#include "common/process_child.h"

#define TAIL_BYTES (sizeof(((struct process_tail *)0)->text) - 1)

void process_tail_keep(struct process_tail *tail, const char *data, size_t size)
{
    if (size > TAIL_BYTES) {
        data += size - TAIL_BYTES;
        size = TAIL_BYTES;
    }
    size_t room = TAIL_BYTES - tail->size;
    if (size > room) {
        size_t drop = size - room;
        memmove(tail->text, tail->text + drop, tail->size - drop);
        tail->size -= drop;
    }
    memcpy(tail->text + tail->size, data, size);
    tail->size += size;
}

const char *process_tail_line(struct process_tail *tail)
{
    while (tail->size > 0 &&
           (tail->text[tail->size - 1] == '\n' || tail->text[tail->size - 1] == ' '))
        tail->size--;
    tail->text[tail->size] = '\0';
    for (char *p = tail->text; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return tail->size > 0 ? tail->text : "it printed no reason";
}
