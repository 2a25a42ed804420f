/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt tells of them. How it is read: checkpoint_xml.c. See checkpoint_list.h. */
#include "domain/checkpoint_list.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "driver/libvirt/connection.h"
#include "driver/libvirt/domain.h"

static int read_snapshot(virDomainSnapshotPtr snapshot, struct checkpoint *ret_checkpoint,
                         struct error *err)
{
    cleanup_free char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    if (!xml)
        return libvirt_error(err, "cannot read a snapshot");
    int r = checkpoint_list_parse_snapshot(xml, ret_checkpoint, err);
    ret_checkpoint->is_current = virDomainSnapshotIsCurrent(snapshot, 0) == 1;
    return r;
}

static int read_bitmap(virDomainCheckpointPtr bitmap, struct checkpoint *ret_checkpoint,
                       struct error *err)
{
    cleanup_free char *xml =
        virDomainCheckpointGetXMLDesc(bitmap, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
    return xml ? checkpoint_list_parse_bitmap(xml, ret_checkpoint, err)
               : libvirt_error(err, "cannot read a checkpoint");
}

static int make_room(struct checkpoint_list *list, int more, struct error *err)
{
    size_t count = list->count + (size_t)more;
    if (count > CHECKPOINT_LIST_MAX)
        return error_set(err, E2BIG, EXC_INTERNAL_ERROR, "the domain has more than %d checkpoints",
                         CHECKPOINT_LIST_MAX);
    void *grown = realloc(list->checkpoints, (count + 1) * sizeof(*list->checkpoints));
    if (!grown)
        return error_nomem(err);
    list->checkpoints = grown;
    memset(list->checkpoints + list->count, 0, ((size_t)more + 1) * sizeof(*list->checkpoints));
    return 0;
}

static int read_snapshots(virDomainPtr domain, struct checkpoint_list *list, struct error *err)
{
    virDomainSnapshotPtr *snapshots = NULL;
    int n = virDomainListAllSnapshots(domain, &snapshots, VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL);
    int r = n < 0 ? libvirt_error(err, "cannot list the snapshots") : make_room(list, n, err);
    for (int i = 0; i < n; i++) {
        if (r == 0) /* what is half read is freed with the list */
            r = read_snapshot(snapshots[i], &list->checkpoints[list->count++], err);
        (void)virDomainSnapshotFree(snapshots[i]);
    }
    free(snapshots);
    return r;
}

/* Drivers without checkpoints have none. */
static int read_bitmaps(virDomainPtr domain, struct checkpoint_list *list, struct error *err)
{
    virDomainCheckpointPtr *bitmaps = NULL;
    int n = virDomainListAllCheckpoints(domain, &bitmaps, VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL);
    if (n < 0 && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
        return 0;
    int r = n < 0 ? libvirt_error(err, "cannot list the checkpoints") : make_room(list, n, err);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = read_bitmap(bitmaps[i], &list->checkpoints[list->count++], err);
        (void)virDomainCheckpointFree(bitmaps[i]);
    }
    free(bitmaps);
    return r;
}

static int read_present(virDomainPtr domain, struct checkpoint *ret_present, struct error *err)
{
    cleanup_free char *xml = NULL;
    int r = libvirt_domain_xml(domain, &xml, err);
    return r < 0 ? r : checkpoint_list_parse_present(xml, ret_present, err);
}

int checkpoint_list_read(const struct session *session, struct checkpoint_list *ret_list,
                         struct error *err)
{
    *ret_list = (struct checkpoint_list){0};
    int r = read_snapshots(session->domain, ret_list, err);
    if (r == 0)
        r = read_bitmaps(session->domain, ret_list, err);
    return r < 0 ? r : read_present(session->domain, &ret_list->present, err);
}

void checkpoint_list_done(struct checkpoint_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->checkpoints[i].layers);
    free(list->checkpoints);
    free(list->present.layers);
    *list = (struct checkpoint_list){0};
}
