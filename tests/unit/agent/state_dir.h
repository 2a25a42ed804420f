/* SPDX-License-Identifier: Apache-2.0 */
/* A [snapshot_agent]state_dir for one test, with the journal and the ledger of frozen guests. */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/freeze_ledger.h"
#include "agent/journal.h"
#include "fixture.h"

#define STATE_HOST "cmp1"

static struct {
    char path[64];
    struct journal *journal;
    struct freeze_ledger *ledger;
} state_dir;

static inline void state_dir_make(void)
{
    struct error err = ERROR_INIT;
    (void)snprintf(state_dir.path, sizeof(state_dir.path), "/tmp/nsa-state.XXXXXX");
    assert_non_null(mkdtemp(state_dir.path));
    assert_int_equal(journal_open(state_dir.path, STATE_HOST, &state_dir.journal, &err), 0);
    assert_int_equal(freeze_ledger_open(state_dir.path, STATE_HOST, &state_dir.ledger, &err), 0);
}

/* How many files there are in "journal" or "frozen"; they are removed. */
static inline unsigned state_dir_clear(const char *kind)
{
    char folder[128];
    unsigned n = 0;
    (void)snprintf(folder, sizeof(folder), "%s/" STATE_HOST ".%s", state_dir.path, kind);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        n++;
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(folder), 0);
    return n;
}

static inline void state_dir_make_folder(const char *kind)
{
    char folder[128];
    (void)snprintf(folder, sizeof(folder), "%s/" STATE_HOST ".%s", state_dir.path, kind);
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* Returns how many files were left in it. */
static inline unsigned state_dir_remove(void)
{
    journal_free(state_dir.journal);
    freeze_ledger_free(state_dir.ledger);
    unsigned n = state_dir_clear("journal") + state_dir_clear("frozen");
    assert_int_equal(rmdir(state_dir.path), 0);
    return n;
}

/* The record of a request, as the dispatcher begins it. */
static inline struct journal_record *state_dir_record(const struct rpc_request *request)
{
    struct error err = ERROR_INIT;
    struct journal_record *record = NULL;
    assert_int_equal(journal_begin(state_dir.journal, request, &record, &err), 0);
    journal_mark(record, "acked", json_true());
    return record;
}
