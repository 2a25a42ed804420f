/* SPDX-License-Identifier: Apache-2.0 */
/* See freeze_ledger.h. */
#include "agent/freeze_ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "common/private_file.h"

struct freeze_ledger {
    char folder[PRIVATE_FILE_FOLDER_SIZE];
    int fd;                  /* of the folder */
    char owner[ID_HEX_SIZE]; /* tells this agent's freezes from another's */
};

int freeze_ledger_open(const char *state_dir, const char *host, struct freeze_ledger **ret_ledger,
                       struct error *err)
{
    char owner[ID_HEX_SIZE];
    id_new_hex(owner);
    return freeze_ledger_open_as(state_dir, host, owner, ret_ledger, err);
}

int freeze_ledger_open_as(const char *state_dir, const char *host, const char *owner,
                          struct freeze_ledger **ret_ledger, struct error *err)
{
    struct freeze_ledger *ledger = calloc(1, sizeof(*ledger));
    if (!ledger)
        return error_nomem(err);
    ledger->fd = -1;
    int r =
        private_file_open_state_folder(state_dir, host, "frozen", ledger->folder, &ledger->fd, err);
    if (r < 0) {
        freeze_ledger_free(ledger);
        return r;
    }
    (void)snprintf(ledger->owner, sizeof(ledger->owner), "%s", owner);
    *ret_ledger = ledger;
    return 0;
}

const char *freeze_ledger_owner(const struct freeze_ledger *ledger)
{
    return ledger->owner;
}

void freeze_ledger_free(struct freeze_ledger *ledger)
{
    if (ledger && ledger->fd >= 0)
        (void)close(ledger->fd);
    free(ledger);
}

/* What an earlier agent has written there goes: the guest is ours now. */
static int write_owner(const struct freeze_ledger *ledger, int fd)
{
    size_t length = strlen(ledger->owner);
    if (ftruncate(fd, 0) < 0)
        return -errno;
    ssize_t n = pwrite(fd, ledger->owner, length, 0);
    return n == (ssize_t)length ? 0 : n < 0 ? -errno : -ENOSPC;
}

int freeze_ledger_add(const struct freeze_ledger *ledger, const char *uuid, struct error *err)
{
    cleanup_close int fd = -1;
    int r = private_file_open(ledger->fd, ledger->folder, uuid, O_WRONLY | O_CREAT, &fd, err);
    if (r < 0)
        return error_prepend(err, "the guest is not frozen");
    r = write_owner(ledger, fd);
    log_debug("guest %s %s noted as frozen", uuid, r == 0 ? "is" : "cannot be");
    if (r == 0)
        return 0;
    freeze_ledger_remove(ledger, uuid);
    return error_errno(err, -r, "the guest is not frozen, cannot write %s/%s", ledger->folder,
                       uuid);
}

void freeze_ledger_remove(const struct freeze_ledger *ledger, const char *uuid)
{
    char text[128];
    log_debug("guest %s is not noted as frozen", uuid);
    if (unlinkat(ledger->fd, uuid, 0) < 0 && errno != ENOENT)
        log_warning("cannot remove %s/%s: %s", ledger->folder, uuid,
                    strerror_r(errno, text, sizeof(text)));
}

int freeze_ledger_note(const struct freeze_ledger *ledger, const char *uuid, bool frozen,
                       struct error *err)
{
    if (frozen)
        return freeze_ledger_add(ledger, uuid, err);
    freeze_ledger_remove(ledger, uuid);
    return 0;
}

/* False when others than the agent may have written it. */
static bool is_to_be_obeyed(const struct freeze_ledger *ledger, const char *uuid, bool *ret_by_us)
{
    char owner[ID_HEX_SIZE] = "";
    struct error err = ERROR_INIT;
    cleanup_close int fd = -1;
    int r = private_file_open(ledger->fd, ledger->folder, uuid, O_RDONLY, &fd, &err);
    if (r < 0 && r != -ENOENT)
        log_error("ignoring the entry of frozen guest %s: %s", uuid, err.message);
    if (r < 0)
        return false;
    ssize_t n = pread(fd, owner, sizeof(owner) - 1, 0);
    owner[n > 0 ? n : 0] = '\0';
    *ret_by_us = strcmp(owner, ledger->owner) == 0;
    return true;
}

bool freeze_ledger_is_ours(const struct freeze_ledger *ledger, const char *uuid)
{
    bool by_us = false;
    return is_to_be_obeyed(ledger, uuid, &by_us) && by_us;
}

static int is_guest(const struct dirent *entry)
{
    return id_is_uuid(entry->d_name);
}

int freeze_ledger_visit(const struct freeze_ledger *ledger,
                        void (*visit)(void *arg, const char *uuid, bool by_us), void *arg,
                        struct error *err)
{
    struct dirent **entries = NULL;
    int n = scandirat(ledger->fd, ".", &entries, is_guest, alphasort);
    if (n < 0)
        return error_errno(err, errno, "cannot list %s", ledger->folder);
    for (int i = 0; i < n; i++) {
        bool by_us = false;
        if (is_to_be_obeyed(ledger, entries[i]->d_name, &by_us))
            visit(arg, entries[i]->d_name, by_us);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
