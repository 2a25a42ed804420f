/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The release of nova that is installed on this host: some defaults and names changed with the
 * releases. Where nova runs from elsewhere (a container of its own) nothing can be told.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

enum installed_package { INSTALLED_NOVA, INSTALLED_OSLO_MESSAGING, INSTALLED_COUNT };

struct installed {
    char folder[PATH_MAX]; /* nova's $pybasedir; "" = not found */
    struct {
        unsigned major, minor;
    } version[INSTALLED_COUNT]; /* 0.0 = not known */
};

/*
 * Looks into `folder` (…/site-packages), or where it is NULL or "" into those of distributions and
 * deployment tools; of several the newest nova counts.
 */
void installed_find(const char *folder, struct installed *ret_installed);

/* True when the package is at least of this version; false too when it is not known. */
bool installed_since(const struct installed *installed, enum installed_package package,
                     unsigned major, unsigned minor);

bool installed_is_known(const struct installed *installed, enum installed_package package);
