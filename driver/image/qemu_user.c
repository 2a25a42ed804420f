/* SPDX-License-Identifier: Apache-2.0 */
/* See qemu_user.h. */
#include "driver/image/qemu_user.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define OWNERS_TO_GROUPS 3 /* by how many bits they lie apart in a mode */

static int give_to_group(gid_t gid, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || chown(path, (uid_t)-1, gid) < 0)
        return -1;
    return chmod(path, (st.st_mode & 07777) | ((st.st_mode & S_IRWXU) >> OWNERS_TO_GROUPS));
}

int qemu_user_give(const struct qemu_user *user, const char *path, struct error *err)
{
    if (user->uid == geteuid() || chown(path, user->uid, user->gid) == 0)
        return 0;
    if (give_to_group(user->gid, path) == 0) {
        log_debug("%s is open to QEMU by its group %u: its owner cannot be changed", path,
                  (unsigned)user->gid);
        return 0;
    }
    return error_errno(err, errno, "cannot give %s to QEMU's user %u, nor to his group %u", path,
                       (unsigned)user->uid, (unsigned)user->gid);
}

void qemu_user_take_back(const char *path)
{
    if (chown(path, geteuid(), getegid()) == 0)
        (void)chmod(path, S_IRUSR | S_IWUSR);
}
