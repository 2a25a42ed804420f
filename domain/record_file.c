/* SPDX-License-Identifier: Apache-2.0 */
/* See record_file.h. */
#include "domain/record_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int find_file(struct record_file *file, struct error *err)
{
    if (faccessat(file->folder_fd, file->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    return private_file_open(file->folder_fd, file->folder, file->name, O_RDWR | O_APPEND,
                             &file->fd, err);
}

int record_file_open(struct record_file *file, const char *state_dir, const char *uuid,
                     struct error *err)
{
    *file = (struct record_file){.folder_fd = -1, .fd = -1};
    (void)snprintf(file->name, sizeof(file->name), "%s", uuid);
    (void)snprintf(file->new_name, sizeof(file->new_name), "%s.new", uuid);
    int n = snprintf(file->folder, sizeof(file->folder), "%s/records", state_dir);
    if (n < 0 || (size_t)n >= sizeof(file->folder))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the state folder %s", state_dir);
    (void)snprintf(file->path, sizeof(file->path), "%s/%s", file->folder, file->name);
    int r = private_file_open_folder(file->folder, &file->folder_fd, err);
    return r < 0 ? r : find_file(file, err);
}

void record_file_close(struct record_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->folder_fd >= 0)
        (void)close(file->folder_fd);
    file->fd = file->folder_fd = -1;
}

int record_file_read(const struct record_file *file, char **ret_text, size_t *ret_length,
                     struct error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return error_errno(err, errno, "cannot read %s", file->path);
    if (st.st_size > (off_t)RECORD_FILE_MAX_BYTES)
        return error_set(err, EFBIG, EXC_INTERNAL_ERROR,
                         "%s, which tells what an earlier command has left, has more than %u "
                         "bytes: look at the domain, then remove it",
                         file->path, RECORD_FILE_MAX_BYTES);
    char *text = malloc((size_t)st.st_size + 1);
    ssize_t n = text ? pread(file->fd, text, (size_t)st.st_size, 0) : -1;
    if (n < 0) {
        int saved_errno = errno;
        free(text);
        return error_errno(err, saved_errno, "cannot read %s", file->path);
    }
    *ret_text = text;
    *ret_length = (size_t)n;
    return 0;
}

static int refuse(const struct record_file *file, int errnum, struct error *err)
{
    return error_errno(err, errnum, "cannot write %s", file->path);
}

/* What comes behind half a line could not be read. */
static int cut_to_whole(const struct record_file *file)
{
    return ftruncate(file->fd, file->whole_bytes) < 0 ? -errno : 0;
}

int record_file_append(struct record_file *file, const char *text, size_t length, struct error *err)
{
    int r = cut_to_whole(file);
    if (r < 0)
        return refuse(file, -r, err);
    ssize_t n = write(file->fd, text, length);
    if (n == (ssize_t)length && fdatasync(file->fd) == 0) {
        file->whole_bytes += n;
        return 0;
    }
    int saved_errno = n < 0 || n == (ssize_t)length ? errno : ENOSPC;
    (void)cut_to_whole(file); /* else the next note does, or is refused */
    return refuse(file, saved_errno, err);
}

static int sync_folder(const struct record_file *file, struct error *err)
{
    return fsync(file->folder_fd) < 0 ? error_errno(err, errno, "cannot write %s", file->folder)
                                      : 0;
}

static int make(struct record_file *file, const char *name, struct error *err)
{
    return private_file_open(file->folder_fd, file->folder, name,
                             O_RDWR | O_APPEND | O_CREAT | O_EXCL, &file->fd, err);
}

int record_file_begin(struct record_file *file, struct error *err)
{
    int r = make(file, file->name, err);
    return r < 0 ? r : sync_folder(file, err);
}

int record_file_replace(struct record_file *file, const char *text, size_t length,
                        struct error *err)
{
    struct record_file new = *file;
    new.fd = -1;
    new.whole_bytes = 0;
    (void)unlinkat(file->folder_fd, file->new_name, 0); /* of one that died in it */
    int r = make(&new, file->new_name, err);
    if (r == 0)
        r = record_file_append(&new, text, length, err);
    if (r == 0 && renameat(file->folder_fd, file->new_name, file->folder_fd, file->name) < 0)
        r = refuse(file, errno, err);
    if (r < 0) {
        if (new.fd >= 0)
            (void)close(new.fd);
        (void)unlinkat(file->folder_fd, file->new_name, 0);
        return r;
    }
    (void)close(file->fd);
    file->fd = new.fd;
    file->whole_bytes = new.whole_bytes;
    return sync_folder(file, err);
}

int record_file_remove(struct record_file *file, struct error *err)
{
    if (file->fd < 0)
        return 0;
    if (unlinkat(file->folder_fd, file->name, 0) < 0)
        return error_errno(err, errno, "cannot remove %s", file->path);
    (void)unlinkat(file->folder_fd, file->new_name, 0);
    (void)close(file->fd);
    file->fd = -1;
    file->whole_bytes = 0;
    return 0;
}
