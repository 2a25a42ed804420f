/* SPDX-License-Identifier: Apache-2.0 */
/* See duplicates.h. */
#include "amqp/duplicates.h"

#include <stdlib.h>
#include <string.h>

bool duplicates_seen(const struct duplicates *duplicates, const char *id)
{
    if (!id || id[0] == '\0')
        return false;
    for (unsigned i = 0; i < duplicates->window; i++)
        if (duplicates->ids[i] && strcmp(duplicates->ids[i], id) == 0)
            return true;
    return false;
}

void duplicates_add(struct duplicates *duplicates, const char *id)
{
    if (!id || id[0] == '\0')
        return;
    free(duplicates->ids[duplicates->next]);
    duplicates->ids[duplicates->next] = strdup(id); /* out of memory: one less is remembered */
    duplicates->next = (duplicates->next + 1) % duplicates->window;
}

void duplicates_remove(struct duplicates *duplicates, const char *id)
{
    for (unsigned i = 0; i < duplicates->window; i++) {
        if (!duplicates->ids[i] || strcmp(duplicates->ids[i], id) != 0)
            continue;
        free(duplicates->ids[i]);
        duplicates->ids[i] = NULL;
    }
}

void duplicates_clear(struct duplicates *duplicates)
{
    for (unsigned i = 0; i < duplicates->window; i++) {
        free(duplicates->ids[i]);
        duplicates->ids[i] = NULL;
    }
}
