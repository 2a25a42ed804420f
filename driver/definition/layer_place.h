/* SPDX-License-Identifier: Apache-2.0 */
/* Where a layer of a disk lies, by what its folder is and not by what it is called. */
#pragma once

enum layer_place {
    LAYER_OWN,  /* in the instance's own folder, instances_path/UUID */
    LAYER_BASE, /* where nova keeps base images: below instances_path, in no instance's folder */
    LAYER_ELSEWHERE,
};

/*
 * Links are followed: what counts is the plain file at their end. A path that is not absolute, or
 * is no plain file, is elsewhere.
 */
enum layer_place layer_place_of(const char *path, const char *uuid, const char *instances_path,
                                const char *snapshots_directory);
