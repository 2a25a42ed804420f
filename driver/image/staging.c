/* SPDX-License-Identifier: Apache-2.0 */
/* See staging.h. */
#include "driver/image/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "common/same_file.h"
#include "driver/driver.h"

struct staging {
    char *directory;
    char *image_path;
    char *delta_path;
    char *socket_directory;
    char *socket_path;
    bool made; /* there may be something to remove */
};

/*
 * Whose the folder above is: nova-compute, which is not root, makes its own folders in there. He
 * may have put something else in its place meanwhile.
 */
static void give_to_owner_above(const char *path, const struct stat *above)
{
    if (above->st_uid == geteuid())
        return;
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, above->st_uid, above->st_gid) < 0)
        log_warning("%s cannot be given to user %u, whose the folder above is", path,
                    (unsigned)above->st_uid);
}

/* What `path` is in. */
static int make_parents(const char *path, struct error *err)
{
    char part[DRIVER_PATH_MAX];
    struct stat above = {.st_uid = geteuid()}, st;
    (void)snprintf(part, sizeof(part), "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) == 0)
            give_to_owner_above(part, &above);
        else if (errno != EEXIST)
            return error_errno(err, errno, "cannot make the directory %s", part);
        if (stat(part, &st) == 0)
            above = st;
        *slash = '/';
    }
    return 0;
}

void staging_leave(struct staging *staging)
{
    if (!staging)
        return;
    free(staging->directory);
    free(staging->image_path);
    free(staging->delta_path);
    free(staging->socket_directory);
    free(staging->socket_path);
    free(staging);
}

static int name_paths(const char *directory, const char *file, struct staging **ret_staging,
                      struct error *err)
{
    struct staging *staging = calloc(1, sizeof(*staging));
    if (!staging)
        return error_nomem(err);
    staging->directory = strdup(directory);
    if (!staging->directory || asprintf(&staging->image_path, "%s/%s", directory, file) < 0 ||
        asprintf(&staging->delta_path, "%s/%s.delta", directory, file) < 0 ||
        asprintf(&staging->socket_directory, "%s/nbd", directory) < 0 ||
        asprintf(&staging->socket_path, "%s/nbd/s", directory) < 0) {
        staging_leave(staging);
        return error_nomem(err);
    }
    *ret_staging = staging;
    return 0;
}

int staging_new(const char *parent, const char *mark, struct staging **ret_staging,
                struct error *err)
{
    char directory[DRIVER_PATH_MAX], id[ID_HEX_SIZE], file[ID_HEX_SIZE];
    size_t length = strlen(parent);
    while (length > 0 && parent[length - 1] == '/')
        length--;
    id_new_hex(id);
    id_new_hex(file);
    memcpy(id, mark, strnlen(mark, STAGING_MARK_SIZE - 1)); /* what is random still is 64 bits */
    if (parent[0] != '/' ||
        (size_t)snprintf(directory, sizeof(directory), "%.*s/" STAGING_PREFIX "%s", (int)length,
                         parent, id) >= sizeof(directory))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "snapshots_directory %s is not an absolute path of usable length", parent);
    return name_paths(directory, file, ret_staging, err);
}

int staging_make(struct staging *staging, enum staging_access access, struct error *err)
{
    int r = make_parents(staging->directory, err);
    if (r < 0)
        return r;
    if (mkdir(staging->directory, 0700) < 0)
        return error_errno(err, errno, "cannot make the directory %s", staging->directory);
    staging->made = true;
    if (access == STAGING_TRAVERSABLE && chmod(staging->directory, 0701) < 0)
        return error_errno(err, errno, "cannot open %s to QEMU", staging->directory);
    log_debug("works in %s, image %s", staging->directory, staging_file(staging));
    return 0;
}

/* A warning only: QEMU's user may own the folder, or be in its group. */
void staging_warn_of_closed_folders(const char *path)
{
    char part[DRIVER_PATH_MAX];
    struct stat st;
    (void)snprintf(part, sizeof(part), "%s/", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (stat(part, &st) == 0 && !(st.st_mode & S_IXOTH))
            log_warning("%s is closed to others (mode %03o): snapshots fail unless QEMU's user may "
                        "pass through it",
                        part, st.st_mode & 0777u);
        *slash = '/';
    }
}

int staging_check(const char *parent, struct error *err)
{
    struct staging *staging = NULL;
    int r = staging_new(parent, "", &staging, err);
    if (r == 0)
        r = staging_make(staging, STAGING_TRAVERSABLE, err);
    staging_free(staging);
    if (r == 0)
        return 0;
    return error_prepend(err, geteuid() == 0
                                  ? "snapshots_directory cannot be used (on a share that squashes "
                                    "root the agent has to run as nova's user)"
                                  : "snapshots_directory cannot be used");
}

static bool is_hex_id(const char *text)
{
    return strlen(text) == ID_HEX_SIZE - 1 && strspn(text, "0123456789abcdef") == ID_HEX_SIZE - 1;
}

bool staging_is_name(const char *name)
{
    return strncmp(name, STAGING_PREFIX, strlen(STAGING_PREFIX)) == 0 &&
           is_hex_id(name + strlen(STAGING_PREFIX));
}

bool staging_has_mark(const char *name, const char *mark)
{
    const size_t length = STAGING_MARK_SIZE - 1;
    return staging_is_name(name) && strlen(mark) >= length &&
           strncmp(name + strlen(STAGING_PREFIX), mark, length) == 0;
}

int staging_named(const char *directory, const char *file, struct staging **ret_staging,
                  struct error *err)
{
    const char *name = strrchr(directory, '/');
    if (directory[0] != '/' || !staging_is_name(name + 1))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "%.255s is no directory that a snapshot makes", directory);
    if (!is_hex_id(file))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "%.64s is no name that a snapshot gives its image", file);
    return name_paths(directory, file, ret_staging, err);
}

bool staging_claim(struct staging *staging, const char *parent)
{
    struct stat st;
    char folder[DRIVER_PATH_MAX];
    if (lstat(staging->directory, &st) < 0)
        return errno == ENOENT; /* and nothing to remove */
    if ((size_t)snprintf(folder, sizeof(folder), "%s", staging->directory) >= sizeof(folder))
        return false;
    *(strrchr(folder, '/') + 1) = '\0';
    staging->made = S_ISDIR(st.st_mode) && same_file(folder, parent);
    log_debug("%s of an earlier start %s", staging->directory,
              staging->made         ? "is ours"
              : S_ISDIR(st.st_mode) ? "is not below snapshots_directory, it stays"
                                    : "is no directory, it stays");
    return staging->made;
}

const char *staging_directory(const struct staging *staging)
{
    return staging->directory;
}

const char *staging_file(const struct staging *staging)
{
    return strrchr(staging->image_path, '/') + 1;
}

const char *staging_image_path(const struct staging *staging)
{
    return staging->image_path;
}

const char *staging_delta_path(const struct staging *staging)
{
    return staging->delta_path;
}

const char *staging_socket_path(const struct staging *staging)
{
    return staging->socket_path;
}

int staging_make_socket_directory(const struct staging *staging, const struct qemu_user *user,
                                  struct error *err)
{
    const char *path = staging->socket_directory;
    if (strlen(staging->socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return error_set(err, EOPNOTSUPP, EXC_INTERNAL_ERROR, "%s is too long a path for a socket",
                         staging->socket_path);
    if (mkdir(path, 0700) < 0)
        return error_errno(err, errno, "cannot make the directory %s", path);
    if (qemu_user_give(user, path, err) == 0)
        return 0;
    err->errnum = EOPNOTSUPP;
    return -EOPNOTSUPP;
}

int staging_remove_delta(const struct staging *staging, struct error *err)
{
    if (unlink(staging->delta_path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "cannot remove %s", staging->delta_path);
    return 0;
}

static void remove_logged(const char *path, int (*remove_one)(const char *))
{
    char text[128];
    if (remove_one(path) < 0 && errno != ENOENT)
        log_warning("cannot remove %s: %s", path, strerror_r(errno, text, sizeof(text)));
}

void staging_free(struct staging *staging)
{
    if (staging && staging->made) {
        remove_logged(staging->socket_path, unlink);
        remove_logged(staging->socket_directory, rmdir);
        remove_logged(staging->delta_path, unlink);
        remove_logged(staging->image_path, unlink);
        remove_logged(staging->directory, rmdir);
    }
    staging_leave(staging);
}

static void close_staged(struct image_source *file, void *staging)
{
    image_source_close(file);
    staging_free(staging);
}

static void leave_staged(struct image_source *file, void *staging)
{
    image_source_close(file);
    staging_leave(staging);
}

int staging_own(struct staging *staging, struct image_source *source,
                struct image_source **ret_source, struct error *err)
{
    static const struct image_source_owner owner = {close_staged, leave_staged};
    return image_source_owning(source, staging, &owner, ret_source, err);
}

int staging_open_image(struct staging *staging, struct image_source **ret_source, struct error *err)
{
    struct image_source *file = NULL;
    int r = image_source_open_file(staging->image_path, &file, err);
    if (r < 0)
        return r;
    r = staging_own(staging, file, ret_source, err);
    if (r < 0)
        image_source_close(file);
    return r;
}
