/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a folder of a snapshot, or a block job that writes there, is nobody's: all proofs there
 * are, of this moment. EBUSY, or another errno, says which one is missing. Confined to the thread
 * of a run of run.h.
 */
#pragma once

#include "agent/clean/files.h"
#include "agent/clean/look.h"

/* This host as it is at one moment. */
struct clean_host {
    struct clean_look *look; /* borrowed */
    struct clean_files files;
    const char *path; /* snapshots_directory; borrowed from the configuration */
    int fd;           /* the same; -1: there is none */
    char mark[HOST_KEY_MARK_SIZE];
};

/* Reads it, guests and directory. To be closed also after a failure. */
int clean_judge_open(struct clean_look *look, struct clean_host *ret_host, struct error *err);
void clean_judge_close(struct clean_host *host);

/* The job of this item, which writes to its folder. *ret_why, static, is the proof in words. */
int clean_judge_job(const struct clean_host *host, const struct clean_item *item,
                    const char **ret_why, struct error *err);

/* The folder of this item, which is told its size; jobs that write to it are to go as well. */
int clean_judge_folder(const struct clean_host *host, struct clean_item *item, const char **ret_why,
                       struct error *err);
