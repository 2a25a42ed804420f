/* SPDX-License-Identifier: Apache-2.0 */
/* See host_key.h. */
#include "agent/host_key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/private_file.h"

/* In place of whatever is there: all of it or nothing, also when the host goes down. */
static int write_key(int folder, const char *state_dir, const char *name, struct host_key *key,
                     struct error *err)
{
    char new_name[NAME_MAX + 1];
    cleanup_close int fd = -1;
    if ((size_t)snprintf(new_name, sizeof(new_name), "%s.new", name) >= sizeof(new_name))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s is too long a name", name);
    if (unlinkat(folder, new_name, 0) < 0 && errno != ENOENT)
        return error_errno(err, errno, "cannot remove %s", new_name);
    int r = private_file_open(folder, state_dir, new_name, O_WRONLY | O_CREAT | O_EXCL, &fd, err);
    if (r < 0)
        return r;
    if (getrandom(key->bytes, sizeof(key->bytes), 0) != (ssize_t)sizeof(key->bytes))
        return error_errno(err, errno, "the kernel gives no random bytes");
    ssize_t n = write(fd, key->bytes, sizeof(key->bytes));
    if (n != (ssize_t)sizeof(key->bytes))
        return error_errno(err, n < 0 ? errno : ENOSPC, "cannot write %s", new_name);
    if (fsync(fd) < 0 || renameat(folder, new_name, folder, name) < 0 || fsync(folder) < 0)
        return error_errno(err, errno, "cannot write %s", name);
    key->known = true;
    return 0;
}

static int read_key(int folder, const char *state_dir, const char *name, struct host_key *key,
                    struct error *err)
{
    cleanup_close int fd = -1;
    int r = private_file_open(folder, state_dir, name, O_RDONLY, &fd, err);
    if (r < 0)
        return r;
    ssize_t n = read(fd, key->bytes, sizeof(key->bytes));
    if (n != (ssize_t)sizeof(key->bytes))
        return n < 0 ? error_errno(err, errno, "cannot read %s/%s", state_dir, name)
                     : error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                                 "%s/%s holds no key: when it is removed the next start makes "
                                 "another",
                                 state_dir, name);
    key->known = true;
    return 0;
}

int host_key_read(const char *state_dir, const char *host, struct host_key *ret_key,
                  struct error *err)
{
    char name[NAME_MAX + 1];
    cleanup_close int folder = -1;
    struct host_key key = {0};
    struct error failure = ERROR_INIT;
    (void)snprintf(name, sizeof(name), "%s.key", host); /* host_lock.h refuses what is too long */
    int r = private_file_open_folder(state_dir, &folder, err);
    if (r < 0)
        return r;
    r = read_key(folder, state_dir, name, &key, &failure);
    if (r == -ENOENT)
        r = write_key(folder, state_dir, name, &key, err);
    else if (r < 0)
        *err = failure;
    if (r == 0)
        *ret_key = key;
    return r;
}

bool host_key_mark(const struct host_key *key, const char *text,
                   char ret_mark[static HOST_KEY_MARK_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!key->known || !HMAC(EVP_sha256(), key->bytes, sizeof(key->bytes),
                             (const unsigned char *)text, strlen(text), digest, &length))
        return false;
    for (unsigned i = 0; i < length && 2 * i + 2 < HOST_KEY_MARK_SIZE; i++)
        (void)snprintf(ret_mark + (size_t)2 * i, 3, "%02x", digest[i]);
    return true;
}

bool host_key_is_mark(const struct host_key *key, const char *text, const char *mark)
{
    char wanted[HOST_KEY_MARK_SIZE];
    return mark && host_key_mark(key, text, wanted) && strcmp(mark, wanted) == 0;
}
