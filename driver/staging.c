/* See staging.h. */
#include "driver/staging.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "driver/driver.h"

struct staging {
    char *directory;
    char *image_path;
    char *delta_path;
};

static int make_parents(const char *path, struct error *err)
{
    char part[DRIVER_PATH_MAX];
    if (path[0] != '/' || (size_t)snprintf(part, sizeof(part), "%s/", path) >= sizeof(part))
        return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                         "snapshots_directory %s is not an absolute path of usable length", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return error_errno(err, errno, "cannot make the directory %s", part);
        *slash = '/';
    }
    return 0;
}

static void release(struct staging *staging)
{
    free(staging->directory);
    free(staging->image_path);
    free(staging->delta_path);
    free(staging);
}

/* mkdtemp() changes nothing but the Xs at the end: the names inside are made afterwards. */
static int make_directory(struct staging *staging, const char *parent, enum staging_access access,
                          struct error *err)
{
    char id[ID_HEX_SIZE];
    id_new_hex(id);
    if (asprintf(&staging->directory, "%s/nova-snapshot-XXXXXX", parent) < 0)
        return error_nomem(err);
    if (!mkdtemp(staging->directory))
        return error_errno(err, errno, "cannot make a directory in %s", parent);
    int r = 0;
    if (asprintf(&staging->image_path, "%s/%s", staging->directory, id) < 0 ||
        asprintf(&staging->delta_path, "%s/%s.delta", staging->directory, id) < 0)
        r = error_nomem(err);
    else if (access == STAGING_TRAVERSABLE && chmod(staging->directory, 0701) < 0)
        r = error_errno(err, errno, "cannot open %s to QEMU", staging->directory);
    if (r < 0)
        (void)rmdir(staging->directory);
    return r;
}

int staging_new(const char *parent, enum staging_access access, struct staging **ret_staging,
                struct error *err)
{
    int r = make_parents(parent, err);
    if (r < 0)
        return r;
    struct staging *staging = calloc(1, sizeof(*staging));
    if (!staging)
        return error_nomem(err);
    r = make_directory(staging, parent, access, err);
    if (r < 0) {
        release(staging);
        return r;
    }
    *ret_staging = staging;
    return 0;
}

const char *staging_image_path(const struct staging *staging)
{
    return staging->image_path;
}

const char *staging_delta_path(const struct staging *staging)
{
    return staging->delta_path;
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
    if (!staging)
        return;
    remove_logged(staging->delta_path, unlink);
    remove_logged(staging->image_path, unlink);
    remove_logged(staging->directory, rmdir);
    release(staging);
}

struct staged_source {
    struct image_source base;
    struct image_source *file;
    struct staging *staging;
};

static ssize_t staged_read(struct image_source *source, void *buffer, size_t length,
                           struct error *err)
{
    struct image_source *file = ((struct staged_source *)source)->file;
    return file->ops->read(file, buffer, length, err);
}

static int staged_rewind(struct image_source *source, struct error *err)
{
    struct image_source *file = ((struct staged_source *)source)->file;
    return file->ops->rewind(file, err);
}

static void staged_close(struct image_source *source)
{
    struct staged_source *staged = (struct staged_source *)source;
    image_source_close(staged->file);
    staging_free(staged->staging);
    free(staged);
}

int staging_open_image(struct staging *staging, struct image_source **ret_source, struct error *err)
{
    static const struct image_source_ops ops = {staged_read, staged_rewind, staged_close};
    cleanup_free struct staged_source *staged = calloc(1, sizeof(*staged));
    if (!staged)
        return error_nomem(err);
    int r = image_source_open_file(staging->image_path, &staged->file, err);
    if (r < 0)
        return r;
    staged->base = (struct image_source){.ops = &ops, .size_bytes = staged->file->size_bytes};
    staged->staging = staging;
    *ret_source = &TAKE_PTR(staged)->base;
    return 0;
}
