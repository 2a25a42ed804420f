/* SPDX-License-Identifier: Apache-2.0 */
/* What a checkpoint and its files are called. On one thread. */
#pragma once

#include <libvirt/libvirt.h>

#include "common/error.h"
#include "domain/checkpoint_plan.h"

/*
 * Fills the names of a plan whose disks are known: those of the request, else <disk>.<name> beside
 * the disk and <first disk>.<name>.memory. A disk that an earlier checkpoint of ours made loses
 * that one's name first: they do not grow. ENAMETOOLONG when they do not fit, or those of a way
 * back would not. EEXIST when one is there, or the domain has a checkpoint of the name; EINVAL for
 * a --disk that takes no part.
 */
int checkpoint_name_all(virDomainPtr domain, const struct checkpoint_request *request,
                        struct checkpoint_plan *plan, struct error *err);

/* Of the current checkpoint; "" when the domain has none. EIO with libvirt's class. */
int checkpoint_name_current(virDomainPtr domain, char ret_name[static CHECKPOINT_NAME_SIZE],
                            struct error *err);

/* ENAMETOOLONG where `domain revert` could not name its layers. */
int checkpoint_name_check_way_back(virDomainPtr domain, const struct checkpoint_plan *plan,
                                   struct error *err);

#define CHECKPOINT_STAMP_SIZE 32
#define CHECKPOINT_LEFT "left-" /* <time>: of what is left behind by `domain revert` */

/*
 * The time in UTC, to the second, as 20261130T063535Z: no checkpoint of the domain is called
 * <prefix><stamp>. Where one is, waits for the next second.
 */
int checkpoint_name_stamp(virDomainPtr domain, const char *prefix,
                          char ret_stamp[static CHECKPOINT_STAMP_SIZE], struct error *err);

/* For its test: <base>.<name>, where `earlier` is the current checkpoint's name or "". False when
 * it does not fit. */
bool checkpoint_name_overlay(const char *base, const char *earlier, const char *name,
                             char ret_path[static DRIVER_PATH_MAX]);
