/* SPDX-License-Identifier: Apache-2.0 */
/* See save_record.h. */
#include "domain/save_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/private_file.h"
#include "domain/image_digest.h"
#include "driver/libvirt/managed_save.h"

#define MAX_BYTES (4U << 20)
#define TAIL_BYTES (1U << 20) /* the state of the devices, which no two saves have in common */
#define WHOLE "LibvirtQemudSave"
#define MODE 0600

/* Begins the file, in the byte order of its host (libvirt: src/qemu/qemu_saveimage.h,
 * virQEMUSaveHeader). */
struct header {
    char word[sizeof(WHOLE) - 1];
    uint32_t version, data_len, was_running;
};

static int check_length(int n, const char *of, struct error *err)
{
    return n > 0 && n < PATH_MAX
               ? 0
               : error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long", of);
}

int save_record_beside(const char *file, char ret_path[static PATH_MAX], struct error *err)
{
    return check_length(snprintf(ret_path, PATH_MAX, "%s.disks", file), file, err);
}

int save_record_of_managed(const struct session *session, char ret_path[static PATH_MAX],
                           struct error *err)
{
    cleanup_close int fd = -1;
    char folder[PRIVATE_FILE_FOLDER_SIZE];
    int n = snprintf(folder, sizeof(folder), "%s/saved", session->state_dir);
    int r = n > 0 && (size_t)n < sizeof(folder)
                ? private_file_open_folder(folder, &fd, err)
                : error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "the state folder %s",
                            session->state_dir);
    if (r == 0)
        (void)snprintf(ret_path, PATH_MAX, "%s/%s", folder, session->uuid);
    return r;
}

static int write_all(int fd, const char *text, const char *path, struct error *err)
{
    size_t length = strlen(text);
    ssize_t n = write(fd, text, length);
    if (n != (ssize_t)length || fsync(fd) < 0)
        return error_errno(err, n < 0 || n == (ssize_t)length ? errno : ENOSPC, "cannot write %s",
                           path);
    return 0;
}

int save_record_write(const char *path, const json_t *content, struct error *err)
{
    cleanup_free char *text = content ? json_dumps(content, JSON_INDENT(1)) : NULL;
    if (!text)
        return error_nomem(err);
    (void)unlink(path); /* of an earlier try; whose else it is, it is not written to */
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    return fd < 0 ? error_errno(err, errno, "cannot make %s", path)
                  : write_all(fd, text, path, err);
}

int save_record_replace(const char *path, const json_t *content, struct error *err)
{
    char new[PATH_MAX];
    int r = check_length(snprintf(new, sizeof(new), "%s.new", path), path, err);
    if (r == 0)
        r = save_record_write(new, content, err);
    if (r == 0 && rename(new, path) < 0)
        r = error_errno(err, errno, "cannot write %s", path);
    return r;
}

static int read_text(int fd, const char *path, char **ret_text, size_t *ret_length,
                     struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return error_errno(err, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)MAX_BYTES)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "%s is no record of a saved guest",
                         path);
    cleanup_free char *text = malloc((size_t)st.st_size + 1);
    ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : -1;
    if (n < 0)
        return text ? error_errno(err, errno, "cannot read %s", path) : error_nomem(err);
    *ret_text = TAKE_PTR(text);
    *ret_length = (size_t)n;
    return 0;
}

int save_record_read_note(const char *path, json_t **ret_content, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t length = 0;
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", path);
    int r = read_text(fd, path, &text, &length, err);
    return r < 0 ? r : json_parse(text, length, MAX_BYTES, path, ret_content, err);
}

int save_record_read(const char *path, json_t **ret_content, struct error *err)
{
    json_t *content = NULL;
    int r = save_record_read_note(path, &content, err);
    if (r == 0 && !json_is_array(json_object_get(content, "layers")))
        r = error_set(err, EBADMSG, EXC_INTERNAL_ERROR, "%s is no record of a saved guest", path);
    if (r < 0) {
        json_decref(content);
        return r;
    }
    *ret_content = content;
    return 0;
}

json_int_t save_record_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return clock_ns(&now) / 1000000;
}

int save_record_describe_memory(const char *file, json_t **ret_memory, struct error *err)
{
    struct stat st;
    char sha256[IMAGE_DIGEST_SIZE];
    cleanup_free unsigned char *tail = malloc(TAIL_BYTES);
    cleanup_digest EVP_MD_CTX *digest = image_digest_begin();
    cleanup_close int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (!tail || !digest)
        return error_nomem(err);
    if (fd < 0 || fstat(fd, &st) < 0 || fsync(fd) < 0)
        return error_errno(err, errno, "cannot open %s", file);
    off_t from = st.st_size > (off_t)TAIL_BYTES ? st.st_size - (off_t)TAIL_BYTES : 0;
    ssize_t n = pread(fd, tail, TAIL_BYTES, from);
    if (n < 0)
        return error_errno(err, errno, "cannot read %s", file);
    image_digest_add(digest, tail, (size_t)n);
    image_digest_end(digest, sha256);
    json_t *memory =
        json_pack("{s:I, s:s}", "size_bytes", (json_int_t)st.st_size, "tail_sha256", sha256);
    if (!memory)
        return error_nomem(err);
    *ret_memory = memory;
    return 0;
}

int save_record_describe_kept(const struct session *session, json_t **ret_memory, struct error *err)
{
    char file[PATH_MAX];
    return session->domain && managed_save_file(session->domain, file)
               ? save_record_describe_memory(file, ret_memory, err)
               : 0;
}

bool save_record_memory_was_running(const char *file)
{
    struct header header;
    cleanup_close int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
           memcmp(header.word, WHOLE, sizeof(header.word)) == 0 && header.was_running != 0;
}

int save_record_memory_is_whole(const char *file, bool *ret_is_whole, struct error *err)
{
    char word[sizeof(WHOLE) - 1];
    cleanup_close int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret_is_whole = false;
        return 0;
    }
    ssize_t n = fd < 0 ? -1 : pread(fd, word, sizeof(word), 0);
    if (n < 0)
        return error_errno(err, errno, "cannot read whether the memory in %s is whole", file);
    *ret_is_whole = n == (ssize_t)sizeof(word) && memcmp(word, WHOLE, sizeof(word)) == 0;
    return 0;
}
