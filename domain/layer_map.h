/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that this host's domains and their snapshots name, and those they stand on: who needs a
 * layer. What libvirt does not know of, as another host on the same share, is not in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "common/error.h"
#include "domain/session.h"
#include "driver/driver.h"

#define LAYER_MAP_NONE SIZE_MAX

struct layer_file {
    char path[DRIVER_PATH_MAX];
    char format[DRIVER_FORMAT_MAX]; /* as who names it says; "": nobody has */
    struct stat st;
    bool is_there;
    bool is_going; /* by a plan that comes before: nothing stands on it, nor it on anything */
    bool is_read;  /* its header; one that all name raw has none */
    size_t below;  /* what its header stands on; LAYER_MAP_NONE: nothing */
};

enum layer_name_kind {
    LAYER_NAME_DISK,    /* a domain's definition, active or not; what its disk is copied to */
    LAYER_NAME_SAVED,   /* the memory that libvirt keeps of a domain: what it goes on with */
    LAYER_NAME_STATE,   /* a snapshot: what the disk was then */
    LAYER_NAME_OVERLAY, /* a snapshot: the layer it was made with */
    LAYER_NAME_MEMORY,
};

struct layer_name {
    size_t file;
    enum layer_name_kind kind;
    bool is_own;      /* of the session's domain */
    bool is_internal; /* of a snapshot that is inside the file */
    char *domain;     /* owned */
    char *snapshot;   /* owned; NULL: it is a domain's definition */
};

struct layer_map {
    virConnectPtr conn;
    struct layer_file *files; /* owned */
    size_t file_count;
    struct layer_name *names; /* owned */
    size_t name_count;
};

/*
 * Asks libvirt for all domains, and reads the headers of all their files: InvalidDiskInfo naming
 * one that is there and cannot be read, or whose backing file cannot be told; libvirtError of a
 * pool's volume that cannot be looked up. One that libvirt says is not there has no file, unless
 * its guest runs. Free with layer_map_done(), also after a failure.
 */
int layer_map_read(const struct session *session, struct layer_map *ret_map, struct error *err);

/*
 * Also the qcow2 files in the folder of that file, an absolute path, that nobody names: what they
 * stand on. Errors as above, and of one that cannot be read.
 */
int layer_map_add_beside(struct layer_map *map, const char *path, struct error *err);

void layer_map_done(struct layer_map *map);

#define cleanup_layer_map __attribute__((cleanup(layer_map_done)))

/* By what it is, not by what it is called; LAYER_MAP_NONE. */
size_t layer_map_find(const struct layer_map *map, const char *path);

/* The name of whoever needs the file: it is theirs, or a layer that stands on it; NULL: nobody. */
const struct layer_name *layer_map_find_user(const struct layer_map *map, const char *path);

/* Whether `file` is `layer` or stands on it, by however many layers. */
bool layer_map_reaches(const struct layer_map *map, size_t file, size_t layer);

/* Who names it, for a message: "checkpoint NAME of domain NAME", or its definition or memory. */
void layer_map_name_holder(const struct layer_name *name, char *text, size_t size);

#define LAYER_MAP_HOLDER_MAX 512

/* EINVAL: that the file is needed as it is, by whom and, of an own checkpoint, what helps. */
int layer_map_refuse(const struct layer_map *map, size_t file, const struct layer_name *user,
                     struct error *err);

/* The same for a layer that stands on it. */
int layer_map_refuse_layer(const struct layer_map *map, size_t file, size_t layer,
                           struct error *err);
