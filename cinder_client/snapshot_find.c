/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a snapshot by its metadata. Cinder filters by volume; metadata in the query would need a
 * microversion (3.22) and an operator that allows it, so that is compared here.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "cinder_client/cinder_int.h"
#include "common/json.h"
#include "common/log.h"

#define PAGES_MAX 100
#define PAGE_LIMIT 100

struct search {
    const struct cinder *cinder;
    const struct request_context *context;
    const struct cinder_snapshot_request *request;
    char marker[ID_UUID_SIZE]; /* the last one of the page before, "" = from the beginning */
};

int cinder_check_snapshot_request(const struct cinder_snapshot_request *request, struct error *err)
{
    const char *key;
    json_t *value;
    int r = cinder_check_id(&cinder_kind_volume, request->volume_id, err);
    if (r < 0)
        return r;
    bool ok = json_object_size(request->metadata) > 0;
    json_object_foreach ((json_t *)(uintptr_t)request->metadata, key, value) {
        ok = ok && json_is_string(value);
    }
    return ok ? 0
              : error_set(err, EINVAL, EXC_INVALID_INPUT,
                          "a snapshot needs metadata of strings to be found again");
}

static bool is_wanted(const json_t *object, const struct search *search)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)search->request->metadata, key, value) {
        if (!json_equal(json_object_get(metadata, key), value))
            return false;
    }
    return true;
}

/* Returns owned. */
static int get_page(const struct search *search, json_t **ret_page, struct error *err)
{
    char path[80 + 2 * ID_UUID_SIZE];
    const char *volume_id = search->request->volume_id;
    (void)snprintf(path, sizeof(path), "/snapshots/detail?volume_id=%s&limit=%d%s%s", volume_id,
                   PAGE_LIMIT, search->marker[0] != '\0' ? "&marker=" : "", search->marker);
    const struct cinder_call call = {
        .method = "GET",
        .path = path,
        .kind = &cinder_kind_snapshots,
        .id = volume_id,
        .deadline_ms = search->request->deadline_ms,
    };
    struct http_response response;
    bool maybe_done;
    int r = cinder_call(search->cinder, search->context, &call, &response, &maybe_done, err);
    if (r < 0)
        return r;
    r = http_response_json(&response, "Cinder's list of snapshots", ret_page, err);
    http_response_done(&response);
    return r;
}

/* Borrowed; NULL when it is not on this page. Every entry becomes the marker. */
static int look_at(const json_t *page, struct search *search, json_t **ret_object,
                   struct error *err)
{
    const json_t *snapshots = json_object_get(page, "snapshots");
    size_t i;
    json_t *object;
    *ret_object = NULL;
    if (!json_is_array(snapshots))
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "Cinder's answer is no list of snapshots");
    json_array_foreach (snapshots, i, object) {
        if (cinder_copy_member(object, "id", search->marker, sizeof(search->marker), err) < 0 ||
            cinder_check_id(&cinder_kind_snapshot, search->marker, err) < 0)
            return -err->errnum;
        if (is_wanted(object, search)) {
            *ret_object = object;
            return 0;
        }
    }
    return 0;
}

/* The link itself is not followed: it names the host Cinder believes to be on. */
static bool has_next(const json_t *page)
{
    return json_array_size(json_object_get(page, "snapshots")) > 0 &&
           json_array_size(json_object_get(page, "snapshots_links")) > 0;
}

/* One page; *ret_more tells whether another one follows. */
static int search_page(struct search *search, json_t **ret_object, bool *ret_more,
                       struct error *err)
{
    json_t *page = NULL;
    int r = get_page(search, &page, err);
    if (r == 0)
        r = look_at(page, search, ret_object, err);
    if (r == 0) {
        json_incref(*ret_object);
        *ret_more = !*ret_object && has_next(page);
    }
    json_decref(page);
    return r;
}

int cinder_snapshot_find(struct cinder *cinder, const struct request_context *context,
                         const struct cinder_snapshot_request *request, bool *ret_found,
                         struct cinder_snapshot *ret_snapshot, struct error *err)
{
    struct search search = {.cinder = cinder, .context = context, .request = request};
    json_t *object = NULL;
    bool more = true;
    int r = cinder_check_snapshot_request(request, err);
    if (r < 0)
        return r;
    for (int pages = 0; more; pages++) {
        r = pages < PAGES_MAX ? search_page(&search, &object, &more, err)
                              : error_set(err, EMSGSIZE, EXC_INTERNAL_ERROR,
                                          "Cinder lists more than %d pages of snapshots of "
                                          "volume %s",
                                          PAGES_MAX, request->volume_id);
        if (r < 0)
            return r;
    }
    *ret_found = object != NULL;
    log_debug("volume %s: the snapshot that is looked for is %s", request->volume_id,
              object ? "there" : "not there");
    return object ? cinder_snapshot_parse(object, ret_snapshot, err) : 0;
}
