/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of run.h has found, and what became of it. Confined to its thread. */
#pragma once

#include <jansson.h>
#include <limits.h>
#include <stdint.h>

#include "common/error.h"
#include "common/id.h"
#include "driver/driver.h"

/* In the order in which they are removed. */
enum clean_kind { CLEAN_JOB, CLEAN_FOLDER, CLEAN_IMAGE, CLEAN_TASK_STATE };

enum clean_verdict {
    CLEAN_LEFT,    /* it may be somebody's */
    CLEAN_NOBODYS, /* and can go */
    CLEAN_DONE,    /* it is gone */
    CLEAN_FAILED,  /* it could not be removed */
};

struct clean_item {
    enum clean_kind kind;
    enum clean_verdict verdict;
    char what[DRIVER_PATH_MAX];          /* a path, an image's id, a task state */
    char folder[NAME_MAX + 1];           /* of a folder, or of a job: the one it writes to */
    char instance[ID_UUID_SIZE];         /* "": not known; here and below */
    char disk_target[DRIVER_FORMAT_MAX]; /* of a job */
    enum driver_file_use use;            /* of a job */
    uint64_t bytes;                      /* of a folder */
    char why[ERROR_MESSAGE_MAX];         /* it is nobody's, or may be somebody's */
    char failure[ERROR_MESSAGE_MAX];
};

struct clean_list {
    struct clean_item *items; /* owned */
    size_t count;
    json_t *troubles; /* owned; looks that could not be taken, an array of strings */
    bool lacks_some;  /* there was no memory for all that was found */
};

/*
 * Puts an item behind the others. It moves when the next one is added. NULL without memory, which
 * is a trouble.
 */
struct clean_item *clean_list_add(struct clean_list *list, enum clean_kind kind, const char *what);

/* It is nobody's, or left alone, and why. */
void clean_list_judge(struct clean_item *item, enum clean_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* It was tried to remove it: done, left because it has turned out that it may be somebody's (EBUSY,
 * EREMOTE, EEXIST), or failed with *err. */
void clean_list_conclude(struct clean_item *item, int r, const struct error *err);

/* Something could not be looked at. */
void clean_list_trouble(struct clean_list *list, const char *what, const struct error *err);

/* {"found": [...], "troubles": [...]}, owned; NULL without memory. */
json_t *clean_list_view(const struct clean_list *list);

/* Frees what is in it. */
void clean_list_done(struct clean_list *list);
