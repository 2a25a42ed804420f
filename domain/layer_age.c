/* SPDX-License-Identifier: Apache-2.0 */
/* See layer_age.h. */
#include "domain/layer_age.h"

#include <fcntl.h>

/* A layer is made within that time of the last write below it. */
#define SWITCH_S 60

bool layer_age_is_unwritten(const struct stat *st, const char *above)
{
    struct statx made = {0};
    return statx(AT_FDCWD, above, 0, STATX_BTIME, &made) < 0 || !(made.stx_mask & STATX_BTIME) ||
           st->st_mtime <= made.stx_btime.tv_sec + SWITCH_S;
}
