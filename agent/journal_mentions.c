/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal knows of, for who may remove only what it does not. See journal.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal_int.h"
#include "common/cleanup.h"
#include "common/folder.h"

#define CHUNK_BYTES 65536
#define TEXT_MAX_BYTES 256

/* A chunk begins with the end of the one before it. */
static int search_file(int fd, const char *text, bool *ret_found)
{
    size_t length = strlen(text), kept = 0;
    cleanup_free char *chunk = malloc(TEXT_MAX_BYTES + CHUNK_BYTES);
    ssize_t n;
    if (!chunk)
        return -ENOMEM;
    while ((n = read(fd, chunk + kept, CHUNK_BYTES)) > 0) {
        size_t used = kept + (size_t)n;
        if (memmem(chunk, used, text, length)) {
            *ret_found = true;
            return 0;
        }
        kept = used < length ? used : length - 1;
        memmove(chunk, chunk + used - kept, kept);
    }
    return n < 0 ? -errno : 0;
}

/* One that has come to its end meanwhile knows of nothing. */
static int search_record(int folder, const char *name, const char *text, bool *ret_found)
{
    struct stat st;
    cleanup_close int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    return S_ISREG(st.st_mode) ? search_file(fd, text, ret_found) : 0;
}

/* The records of a folder that was removed or replaced are lost, not their requests. */
static int check_in_place(const struct journal *journal, int fd)
{
    struct stat ours, there;
    if (fstat(fd, &ours) < 0 || stat(journal->folder, &there) < 0)
        return -errno;
    return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino ? 0 : -ESTALE;
}

int journal_mentions(const struct journal *journal, const char *text, bool *ret_mentioned,
                     struct error *err)
{
    bool found = false;
    if (text[0] == '\0' || strlen(text) > TEXT_MAX_BYTES)
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "no record can be searched for this");
    int fd = openat(journal->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    int r = folder ? check_in_place(journal, fd) : -errno;
    if (!folder && fd >= 0)
        (void)close(fd);
    const struct dirent *entry = NULL;
    while (r == 0 && !found && (r = folder_next(folder, &entry)) == 0 && entry)
        if (entry->d_name[0] != '.')
            r = search_record(fd, entry->d_name, text, &found);
    if (folder)
        (void)closedir(folder);
    if (r < 0)
        return error_errno(err, -r, "the journal %s cannot be read", journal->folder);
    *ret_mentioned = found;
    return 0;
}
