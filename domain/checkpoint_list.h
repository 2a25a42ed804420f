/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The points of a domain's past that libvirt knows of: its snapshots (virDomainSnapshot), which one
 * may go back to, and its bitmaps (virDomainCheckpoint), which increments are made since.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "domain/session.h"

#define CHECKPOINT_LIST_MAX 4096
#define CHECKPOINT_NAME_SIZE 256

/* A snapshot's description, where libvirt keeps none of that itself. */
#define CHECKPOINT_FROZEN "nova-snapshot: its filesystems were frozen"

enum checkpoint_kind {
    CHECKPOINT_INTERNAL, /* a snapshot inside the disks' own qcow2 files */
    CHECKPOINT_EXTERNAL, /* a snapshot: layers that the disks stand on */
    CHECKPOINT_BITMAP,   /* a dirty bitmap */
    CHECKPOINT_PRESENT,  /* none: what the guest writes to now */
};

/* A file that holds a part of it. */
struct checkpoint_layer {
    char target[DRIVER_FORMAT_MAX]; /* of the disk; "memory" */
    char path[DRIVER_PATH_MAX];
    uint64_t size_on_disk_bytes;
    bool is_there;
};

struct checkpoint {
    char name[CHECKPOINT_NAME_SIZE];
    char parent[CHECKPOINT_NAME_SIZE]; /* of the same sort; "": it has none */
    enum checkpoint_kind kind;
    bool is_current; /* of the snapshots: what the domain goes on from */
    bool has_memory;
    bool is_at_rest;   /* the guest did not run */
    bool is_frozen;    /* its filesystems were; else, without memory, its disks are as after a
                          power cut */
    int64_t created_s; /* since the Epoch; 0: not known */
    struct checkpoint_layer *layers; /* owned: the files, of a bitmap the images of its instant, of
                                        an internal one those of the disks, with all in them */
    size_t layer_count;
};

struct checkpoint_list {
    struct checkpoint *checkpoints; /* owned: snapshots, then bitmaps, parents before children */
    size_t count;
    struct checkpoint present; /* its layers alone */
};

/* Reads them, changing nothing. Free with checkpoint_list_done(), also after a failure. */
int checkpoint_list_read(const struct session *session, struct checkpoint_list *ret_list,
                         struct error *err);

void checkpoint_list_done(struct checkpoint_list *list);

/* For checkpoint_xml.c and its test: reads one's XML, as libvirt gives it. EINVAL. */
int checkpoint_list_parse_snapshot(const char *xml, struct checkpoint *ret_checkpoint,
                                   struct error *err);
int checkpoint_list_parse_bitmap(const char *xml, struct checkpoint *ret_checkpoint,
                                 struct error *err);

/* The same of a domain: the top layers of the disks that it may write to. */
int checkpoint_list_parse_present(const char *domain_xml, struct checkpoint *ret_present,
                                  struct error *err);
