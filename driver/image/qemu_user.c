/* See qemu_user.h. */
#include "driver/image/qemu_user.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/libvirt/connection.h"

#define OWNERS_TO_GROUPS 3 /* by how many bits they lie apart in a mode */

static struct qemu_user owner_of(const char *path)
{
    struct stat st;
    struct qemu_user user = {.uid = geteuid(), .gid = getegid()};
    if (stat(path, &st) == 0 && st.st_uid != 0)
        user = (struct qemu_user){.uid = st.st_uid, .gid = st.st_gid};
    return user;
}

int qemu_user_find(virDomainPtr domain, const char *disk_path, struct qemu_user *ret_user,
                   struct error *err)
{
    virSecurityLabelPtr labels = NULL;
    int count = virDomainGetSecurityLabelList(domain, &labels);
    if (count < 0)
        return libvirt_error(err, "cannot read which user QEMU runs as");
    struct qemu_user user = owner_of(disk_path);
    for (int i = 0; i < count; i++) {
        unsigned uid, gid;
        if (sscanf(labels[i].label, "+%u:+%u", &uid, &gid) == 2)
            user = (struct qemu_user){.uid = uid, .gid = gid};
    }
    free(labels);
    *ret_user = user;
    return 0;
}

static int give_to_group(gid_t gid, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || chown(path, (uid_t)-1, gid) < 0)
        return -1;
    return chmod(path, (st.st_mode & 07777) | ((st.st_mode & S_IRWXU) >> OWNERS_TO_GROUPS));
}

int qemu_user_give(const struct qemu_user *user, const char *path, struct error *err)
{
    if (user->uid == geteuid() || chown(path, user->uid, user->gid) == 0 ||
        give_to_group(user->gid, path) == 0)
        return 0;
    return error_errno(err, errno, "cannot give %s to QEMU's user %u, nor to his group %u", path,
                       (unsigned)user->uid, (unsigned)user->gid);
}

void qemu_user_take_back(const char *path)
{
    if (chown(path, geteuid(), getegid()) == 0)
        (void)chmod(path, S_IRUSR | S_IWUSR);
}
