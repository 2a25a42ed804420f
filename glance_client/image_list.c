/* SPDX-License-Identifier: Apache-2.0 */
/* The list of images, page by page (glance/api/v2/images.py:ImagesController.index). */
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "glance_client/glance_int.h"

#define PAGES_MAX 100
#define IMAGES_MAX 10000
#define NEXT_PREFIX "/v2/images"
#define FIRST_QUERY "?sort=created_at:desc&limit=200"

static int too_many(struct error *err)
{
    return error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR,
                     "Glance lists more than %d images in %d pages", IMAGES_MAX, PAGES_MAX);
}

static int append_filter(char **query, const char *name, const char *value, struct error *err)
{
    char *escaped_name = curl_easy_escape(NULL, name, 0);
    char *escaped_value = curl_easy_escape(NULL, value, 0);
    char *longer = NULL;
    bool ok = escaped_name && escaped_value &&
              asprintf(&longer, "%s&%s=%s", *query, escaped_name, escaped_value) >= 0;
    curl_free(escaped_name);
    curl_free(escaped_value);
    if (!ok)
        return error_nomem(err);
    free(*query);
    *query = longer;
    return 0;
}

/* Returns owned. */
static int make_query(const json_t *filters, char **ret_query, struct error *err)
{
    cleanup_free char *query = strdup(FIRST_QUERY);
    const char *name;
    json_t *value;
    if (!query)
        return error_nomem(err);
    json_object_foreach ((json_t *)(uintptr_t)filters, name, value) {
        if (!json_is_string(value))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "image filter '%s' is no string",
                             name);
        int r = append_filter(&query, name, json_string_value(value), err);
        if (r < 0)
            return r;
    }
    *ret_query = TAKE_PTR(query);
    return 0;
}

/* Listed images may be deleted next, so the filters are applied here once more. */
static bool is_wanted(const json_t *object, const json_t *filters)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)filters, name, value) {
        if (!json_equal(json_object_get(object, name), value))
            return false;
    }
    return true;
}

static int add_objects(const json_t *images, const json_t *filters, json_t *objects,
                       struct error *err)
{
    size_t i;
    json_t *object;
    if (!json_is_array(images))
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "Glance's answer is no list of images");
    json_array_foreach (images, i, object) {
        if (!id_is_uuid(json_string_member(object, "id")) || !json_string_member(object, "status"))
            return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                             "Glance's list has an entry that is no image");
        if (!is_wanted(object, filters))
            continue;
        if (json_array_size(objects) >= IMAGES_MAX)
            return too_many(err);
        if (json_array_append(objects, object) < 0)
            return error_nomem(err);
    }
    return 0;
}

/*
 * Only the query of "next" is taken, and sent where the first one went. Returns owned, NULL after
 * the last page.
 */
static int next_query(const json_t *page, char **ret_query, struct error *err)
{
    const json_t *next = json_object_get(page, "next");
    *ret_query = NULL;
    if (!next || json_is_null(next))
        return 0;
    const char *text = json_string_value(next);
    if (!text || strncmp(text, NEXT_PREFIX "?", strlen(NEXT_PREFIX "?")) != 0 ||
        strlen(text) != json_string_length(next) || strpbrk(text, " #\t\r\n"))
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Glance's list has a 'next' that is not one of its own pages");
    *ret_query = strdup(text + strlen(NEXT_PREFIX));
    return *ret_query ? 0 : error_nomem(err);
}

static int get_page(struct glance *glance, const struct request_context *context, const char *query,
                    json_t **ret_page, struct error *err)
{
    const struct glance_call call = {.method = "GET", .suffix = query};
    struct http_response response;
    int r = glance_call(glance, context, &call, &response, err);
    if (r < 0)
        return r;
    r = http_response_json(&response, "Glance's list of images", ret_page, err);
    http_response_done(&response);
    return r;
}

/* One page into `objects`; *query becomes that of the next, NULL after the last. */
static int read_page(struct glance *glance, const struct request_context *context,
                     const json_t *filters, char **query, json_t *objects, struct error *err)
{
    json_t *page = NULL;
    char *next = NULL;
    int r = get_page(glance, context, *query, &page, err);
    if (r == 0)
        r = add_objects(json_object_get(page, "images"), filters, objects, err);
    if (r == 0)
        r = next_query(page, &next, err);
    json_decref(page);
    if (r == 0) {
        free(*query);
        *query = next;
    }
    return r;
}

int glance_image_list(struct glance *glance, const struct request_context *context,
                      const json_t *filters, json_t **ret_objects, struct error *err)
{
    cleanup_free char *query = NULL;
    int r = make_query(filters, &query, err);
    if (r < 0)
        return r;
    json_t *objects = json_array();
    if (!objects)
        return error_nomem(err);
    for (int pages = 0; r == 0 && query; pages++)
        r = pages < PAGES_MAX ? read_page(glance, context, filters, &query, objects, err)
                              : too_many(err);
    if (r < 0) {
        json_decref(objects);
        return r;
    }
    log_debug("Glance lists %zu images that are looked for", json_array_size(objects));
    *ret_objects = objects;
    return 0;
}
