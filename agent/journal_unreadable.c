/* SPDX-License-Identifier: Apache-2.0 */
/* What was set aside, for who tells people of it. See journal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/journal_int.h"
#include "common/folder.h"

static bool is_unreadable(const struct dirent *entry)
{
    const char *suffix = strrchr(entry->d_name, '.');
    return suffix && strcmp(suffix, JOURNAL_UNREADABLE_SUFFIX) == 0;
}

int journal_unreadable_count(const struct journal *journal, unsigned *ret_n, struct error *err)
{
    int fd = openat(journal->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    int r = folder ? 0 : -errno;
    if (!folder && fd >= 0)
        (void)close(fd);
    const struct dirent *entry = NULL;
    unsigned n = 0;
    while (r == 0 && (r = folder_next(folder, &entry)) == 0 && entry)
        n += is_unreadable(entry);
    if (folder)
        (void)closedir(folder);
    if (r < 0)
        return error_errno(err, -r, "cannot list %s", journal->folder);
    *ret_n = n;
    return 0;
}
