/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user QEMU runs as, who has to open what is made here. libvirt gives him files by itself, but
 * not with dynamic_ownership = 0 or <seclabel relabel='no'>, nor on a share that squashes root, and
 * it never gives a folder.
 */
#pragma once

#include <sys/types.h>

#include "common/error.h"

struct qemu_user {
    uid_t uid;
    gid_t gid;
};

/*
 * Lets him do with a file or folder of ours what its owner may: as its owner where we may give it
 * away, else by his group, which we have to be in. EPERM when neither may be.
 */
int qemu_user_give(const struct qemu_user *user, const char *path, struct error *err);

/* Takes from him, as far as we may, what he was given and has done with. */
void qemu_user_take_back(const char *path);
