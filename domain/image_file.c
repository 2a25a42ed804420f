/* SPDX-License-Identifier: Apache-2.0 */
/* The writing side. See image_file.h. */
#include "domain/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libxml/xmlstring.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/failpoint.h"
#include "common/id.h"
#include "domain/image_output.h"
#include "domain/image_settle.h"

#define PIECE_BYTES (1U << 20)
#define FILE_MODE 0600

void image_file_tell(const struct image_observer *observer, enum image_phase phase,
                     const char *target, uint64_t done_bytes, uint64_t total_bytes)
{
    if (observer && observer->progress)
        observer->progress(observer->arg, phase, target, done_bytes, total_bytes);
}

/* The folder as it is, and in it a name nobody has; both end up absolute. */
static int name_in_folder(const char *path, struct image_file *file, struct error *err)
{
    char id[ID_HEX_SIZE], folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int n = snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                     slash ? path : ".");
    cleanup_free char *real = n > 0 && (size_t)n < sizeof(folder) ? realpath(folder, NULL) : NULL;
    if (!real)
        return error_errno(err, errno, "cannot find the folder of %s", path);
    if (name[0] == '\0')
        return error_set(err, EISDIR, EXC_INTERNAL_ERROR, "%s names no file", path);
    id_new_hex(id);
    const char *separator = strcmp(real, "/") == 0 ? "" : "/";
    n = snprintf(file->path, sizeof(file->path), "%s%s%s", real, separator, name);
    int m = snprintf(file->partial, sizeof(file->partial), "%s%s.%s.%.8s.partial", real, separator,
                     name, id);
    if (xmlCheckUTF8((const xmlChar *)file->path) != 1) /* neither a record nor libvirt takes it */
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the name of %s is not UTF-8", path);
    bool fits =
        n > 0 && (size_t)n < sizeof(file->path) && m > 0 && (size_t)m < sizeof(file->partial);
    return fits ? 0 : error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long", path);
}

/* The file system itself says how long a name may be. */
static int check_free(const char *name, const char *path, struct error *err)
{
    struct stat st;
    if (lstat(name, &st) == 0)
        return error_set(err, EEXIST, EXC_INTERNAL_ERROR, "%s is there already", name);
    if (errno == ENAMETOOLONG)
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR,
                         "the name of %s is too long%s for its folder", path,
                         name == path ? "" : ", with what it has added until it is whole,");
    return errno == ENOENT ? 0 : error_errno(err, errno, "cannot look at %s", name);
}

/* Root may be refused too, as by an NFS server or where all is read-only. */
static int check_folder(const struct image_file *file, struct error *err)
{
    char folder[PATH_MAX];
    int length = (int)(strrchr(file->path, '/') - file->path);
    (void)snprintf(folder, sizeof(folder), "%.*s", length > 0 ? length : 1, file->path);
    return access(folder, W_OK | X_OK) == 0
               ? 0
               : error_errno(err, errno, "cannot make %s in its folder", file->path);
}

int image_file_name_whole(const char *path, struct image_file *ret_file, struct error *err)
{
    struct image_file file = {0};
    int r = name_in_folder(path, &file, err);
    if (r == 0)
        r = check_free(file.path, file.path, err);
    if (r == 0)
        *ret_file = file;
    return r;
}

int image_file_name(const char *path, struct image_file *ret_file, struct error *err)
{
    struct image_file file = {0};
    int r = path ? image_file_name_whole(path, &file, err) : 0;
    if (r == 0 && path)
        r = check_free(file.partial, file.path, err);
    if (r == 0 && path)
        r = check_folder(&file, err);
    if (r == 0)
        *ret_file = file;
    return r;
}

static int copy_image(struct image_file *file, int fd, struct image_source *source,
                      const struct image_observer *observer, struct error *err)
{
    bool is_stdout = file->path[0] == '\0';
    cleanup_free unsigned char *buffer = malloc(PIECE_BYTES);
    cleanup_digest EVP_MD_CTX *digest = image_digest_begin();
    if (!buffer || !digest)
        return error_nomem(err);
    for (;;) {
        ssize_t n = source->ops->read(source, buffer, PIECE_BYTES, err);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        int r = (is_stdout ? image_output_write_stream : image_output_write_sparse)(fd, buffer,
                                                                                    (size_t)n, err);
        if (r < 0 || cancel_check(err) < 0)
            return -err->errnum;
        image_digest_add(digest, buffer, (size_t)n);
        file->size_bytes += (uint64_t)n;
        image_file_tell(observer, IMAGE_PHASE_WRITE, file->target, file->size_bytes,
                        source->size_bytes);
    }
    image_digest_end(digest, file->sha256);
    return file->size_bytes == source->size_bytes
               ? 0
               : error_set(err, EIO, EXC_INTERNAL_ERROR,
                           "the image ended after %" PRIu64 " of %" PRIu64 " bytes",
                           file->size_bytes, source->size_bytes);
}

/* On the disk when it returns 0. */
static int write_file(struct image_file *file, struct session *session, struct image_source *source,
                      const struct image_observer *observer, struct error *err)
{
    json_t *note = NULL;
    int r = image_settle_note(file->partial, file->path, &note, err);
    if (r == 0)
        r = record_note(session->record, "file", note, err);
    if (r < 0)
        return r;
    cleanup_close int fd =
        open(file->partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return error_errno(err, errno, "cannot make %s", file->partial);
    failpoint("domain:file-made");
    r = copy_image(file, fd, source, observer, err);
    if (r < 0)
        return r;
    if (ftruncate(fd, (off_t)file->size_bytes) < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "cannot write %s", file->partial);
    failpoint("domain:file-written");
    return 0;
}

/* What a full disk or quota has not told yet. A pipe has nothing to sync. */
static int sync_stdout(struct error *err)
{
    return fsync(STDOUT_FILENO) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP
               ? 0
               : error_errno(err, errno, "cannot write the image");
}

int image_file_write(struct image_file *file, struct session *session, struct image_source *source,
                     const struct image_observer *observer, struct error *err)
{
    file->size_bytes = 0;
    if (file->path[0] != '\0')
        return write_file(file, session, source, observer, err);
    int r = copy_image(file, STDOUT_FILENO, source, observer, err);
    return r < 0 ? r : sync_stdout(err);
}
