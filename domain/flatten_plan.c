/* SPDX-License-Identifier: Apache-2.0 */
/* See flatten_plan.h. */
#include "domain/flatten_plan.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "domain/merge_chain.h"
#include "domain/merge_plan.h"
#include "domain/nova_guest.h"
#include "driver/definition/domain_description.h"
#include "driver/libvirt/domain.h"

/* nova: instances_path/<uuid>/disk. */
static bool is_in_instance_folder(const struct session *session, const char *path)
{
    const char *name = strrchr(path, '/');
    size_t length = strlen(session->uuid);
    return name && (size_t)(name - path) > length && name[-(ptrdiff_t)length - 1] == '/' &&
           strncmp(name - length, session->uuid, length) == 0;
}

static const char *lowest_of_instance(const struct session *session, const json_t *chain)
{
    const char *lowest = NULL;
    const json_t *layer;
    size_t i;
    json_array_foreach (chain, i, layer) {
        if (is_in_instance_folder(session, merge_chain_path(layer)))
            lowest = merge_chain_path(layer);
    }
    return lowest;
}

/* `base` NULL: what nova would have. */
static int add_disk(const struct session *session, const char *target, const char *base,
                    json_t *disks, struct error *err)
{
    json_t *chain = NULL, *disk = NULL;
    int r = merge_chain_read(session->domain, target, &chain, err);
    if (r == 0 && !base)
        base = lowest_of_instance(session, chain);
    const struct merge_plan_request request = {target, base, NULL, true, NULL};
    if (r == 0 && base)
        r = merge_plan_disk(chain, &request, &disk, err);
    json_decref(chain);
    if (r == 0 && disk && json_array_append_new(disks, disk) < 0)
        r = error_nomem(err);
    return r;
}

static int add_given(const struct session *session, bool is_novas, const char *given, json_t *disks,
                     struct error *err)
{
    const char *equals = strchr(given, '=');
    cleanup_free char *target = strndup(given, equals ? (size_t)(equals - given) : 0);
    if (!target)
        return error_nomem(err);
    if (!equals || equals == given || equals[1] != '/')
        return error_set(err, EINVAL, EXC_INVALID_INPUT,
                         "--disk %s: it is TARGET=FILE, with all of the file's path", given);
    if (is_novas && !is_in_instance_folder(session, equals + 1))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "%s is not in the instance's own folder: it may be others' as well",
                         equals + 1);
    return add_disk(session, target, equals + 1, disks, err);
}

/* Those that are no file have no layers. */
static int add_all(const struct session *session, json_t *disks, struct error *err)
{
    struct domain_description *description = NULL;
    int r = libvirt_domain_describe(session->domain, &description, err);
    for (size_t i = 0; r == 0 && i < description->disk_count; i++) {
        const struct domain_disk *disk = &description->disks[i];
        struct stat st;
        bool is_file = stat(disk->layers[0].path, &st) == 0 && S_ISREG(st.st_mode);
        if (disk->is_hard_disk && is_file)
            r = add_disk(session, disk->target, NULL, disks, err);
    }
    domain_description_free(description);
    return r;
}

int flatten_plan(const struct session *session, const char *const *disks, size_t count,
                 json_t **ret_merge, struct error *err)
{
    cleanup_free char *xml = NULL;
    json_t *planned = json_array();
    int r = libvirt_domain_xml(session->domain, &xml, err);
    bool is_novas = r == 0 && nova_guest_is(xml);
    if (r == 0 && count == 0 && !is_novas)
        r = error_set(err, EINVAL, EXC_INVALID_INPUT,
                      "the domain is not nova's: say which file each disk is to be in, --disk "
                      "TARGET=FILE");
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_given(session, is_novas, disks[i], planned, err);
    if (r == 0 && count == 0)
        r = add_all(session, planned, err);
    if (r == 0)
        *ret_merge = json_pack("{s:O}", "disks", planned);
    json_decref(planned);
    return r < 0 || *ret_merge ? r : error_nomem(err);
}

bool flatten_plan_is_whole(struct session *session)
{
    struct error ignored = ERROR_INIT;
    json_t *merge = NULL;
    bool is_whole = session_need_domain(session, &ignored) == 0 &&
                    virDomainSnapshotNum(session->domain, 0) == 0 &&
                    flatten_plan(session, NULL, 0, &merge, &ignored) == 0 &&
                    json_array_size(json_object_get(merge, "disks")) == 0;
    json_decref(merge);
    return is_whole;
}
