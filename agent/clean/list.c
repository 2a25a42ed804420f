/* SPDX-License-Identifier: Apache-2.0 */
/* See list.h. */
#include "agent/clean/list.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"

static const char *const kinds[] = {"job", "folder", "image", "task_state"};

struct clean_item *clean_list_add(struct clean_list *list, enum clean_kind kind, const char *what)
{
    struct clean_item *items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (!items) {
        list->lacks_some = true;
        return NULL;
    }
    list->items = items;
    struct clean_item *item = &items[list->count++];
    *item = (struct clean_item){.kind = kind};
    (void)snprintf(item->what, sizeof(item->what), "%s", what);
    return item;
}

void clean_list_judge(struct clean_item *item, enum clean_verdict verdict, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    item->verdict = verdict;
    (void)vsnprintf(item->why, sizeof(item->why), format, ap);
    va_end(ap);
    log_debug("clean: %s %s: %s", item->what, verdict == CLEAN_LEFT ? "is left" : "is nobody's",
              item->why);
}

void clean_list_conclude(struct clean_item *item, int r, const struct error *err)
{
    if (r == -EBUSY || r == -EREMOTE || r == -EEXIST) {
        clean_list_judge(item, CLEAN_LEFT, "%s", err->message);
        return;
    }
    item->verdict = r < 0 ? CLEAN_FAILED : CLEAN_DONE;
    if (r < 0) {
        (void)snprintf(item->failure, sizeof(item->failure), "%s", err->message);
        log_warning("clean: %s %s cannot be removed: %s", kinds[item->kind], item->what,
                    err->message);
    } else
        log_info("clean: %s %s is removed: %s", kinds[item->kind], item->what, item->why);
}

void clean_list_trouble(struct clean_list *list, const char *what, const struct error *err)
{
    if (!list->troubles)
        list->troubles = json_array();
    (void)json_array_append_new(list->troubles, json_sprintf("%s: %s", what, err->message));
    log_warning("clean: %s: %s", what, err->message);
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static json_t *view_item(const struct clean_item *item)
{
    static const char *const verdicts[] = {"left", "nobodys", "done", "failed"};
    return json_pack("{s:s, s:s, s:s?, s:s?, s:I, s:s, s:s, s:s?}", "kind", kinds[item->kind],
                     "what", item->what, "instance", text_or_null(item->instance), "disk",
                     text_or_null(item->disk_target), "bytes", (json_int_t)item->bytes, "verdict",
                     verdicts[item->verdict], "why", item->why, "failure",
                     text_or_null(item->failure));
}

json_t *clean_list_view(const struct clean_list *list)
{
    json_t *found = json_array();
    json_t *troubles = list->troubles ? json_copy(list->troubles) : json_array();
    for (size_t i = 0; i < list->count; i++)
        (void)json_array_append_new(found, view_item(&list->items[i]));
    if (list->lacks_some || json_array_size(found) < list->count)
        (void)json_array_append_new(
            troubles, json_string("there was no memory for all that was found: look again"));
    return json_pack("{s:o, s:o}", "found", found, "troubles", troubles);
}

void clean_list_done(struct clean_list *list)
{
    free(list->items);
    json_decref(list->troubles);
    *list = (struct clean_list){0};
}
