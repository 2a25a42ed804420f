/* See freeze_ledger.h. */
#include "agent/freeze_ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"

struct freeze_ledger {
    char folder[PATH_MAX - ID_UUID_SIZE];
    char owner[ID_HEX_SIZE]; /* tells this agent's freezes from another's */
};

int freeze_ledger_open(const char *state_dir, const char *host, struct freeze_ledger **ret_ledger,
                       struct error *err)
{
    cleanup_free struct freeze_ledger *ledger = calloc(1, sizeof(*ledger));
    if (!ledger)
        return error_nomem(err);
    int n = snprintf(ledger->folder, sizeof(ledger->folder), "%s/%s.frozen", state_dir, host);
    if (n < 0 || (size_t)n >= sizeof(ledger->folder))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "[snapshot_agent]state_dir %s",
                         state_dir);
    if (mkdir(ledger->folder, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make %s", ledger->folder);
    id_new_hex(ledger->owner);
    *ret_ledger = TAKE_PTR(ledger);
    return 0;
}

void freeze_ledger_free(struct freeze_ledger *ledger)
{
    free(ledger);
}

static void make_path(const struct freeze_ledger *ledger, const char *uuid,
                      char path[static PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/%.36s", ledger->folder, uuid);
}

int freeze_ledger_add(const struct freeze_ledger *ledger, const char *uuid, struct error *err)
{
    char path[PATH_MAX];
    make_path(ledger, uuid, path);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, ledger->owner, strlen(ledger->owner)) < 0)
        return error_errno(err, errno, "the guest is not frozen, cannot write %s", path);
    return 0;
}

void freeze_ledger_remove(const struct freeze_ledger *ledger, const char *uuid)
{
    char path[PATH_MAX];
    char text[128];
    make_path(ledger, uuid, path);
    if (unlink(path) < 0 && errno != ENOENT)
        log_warning("cannot remove %s: %s", path, strerror_r(errno, text, sizeof(text)));
}

int freeze_ledger_note(const struct freeze_ledger *ledger, const char *uuid, bool frozen,
                       struct error *err)
{
    if (frozen)
        return freeze_ledger_add(ledger, uuid, err);
    freeze_ledger_remove(ledger, uuid);
    return 0;
}

static bool is_by_us(const struct freeze_ledger *ledger, const char *uuid)
{
    char path[PATH_MAX];
    char owner[ID_HEX_SIZE] = "";
    make_path(ledger, uuid, path);
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, owner, sizeof(owner) - 1);
    owner[n > 0 ? n : 0] = '\0';
    return strcmp(owner, ledger->owner) == 0;
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
    int n = scandir(ledger->folder, &entries, is_guest, alphasort);
    if (n < 0)
        return error_errno(err, errno, "cannot list %s", ledger->folder);
    for (int i = 0; i < n; i++) {
        visit(arg, entries[i]->d_name, is_by_us(ledger, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return 0;
}
