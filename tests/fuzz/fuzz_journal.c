/* SPDX-License-Identifier: Apache-2.0 */
/* agent/journal_read.c: a record that a torn write, or somebody else, has left. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/journal.h"
#include "amqp/bus.h"
#include "common/log.h"
#include "tests/fuzz/fuzz.h"

static char folder[] = "/tmp/nsa-fuzz.XXXXXX";
static struct journal *journal;

static void remove_folder(void)
{
    char path[128];
    journal_free(journal);
    (void)snprintf(path, sizeof(path), "%s/cmp1.journal", folder);
    (void)rmdir(path);
    (void)rmdir(folder);
}

static void make_folder(void)
{
    struct error err = ERROR_INIT;
    if (journal)
        return;
    log_set_level(LOG_LEVEL_ERROR);
    if (!mkdtemp(folder) || journal_open(folder, "cmp1", &journal, &err) < 0)
        abort();
    (void)atexit(remove_folder);
}

static void visit(void *arg, struct rpc_request *request, struct journal_record *record)
{
    (void)arg;
    if (!request || !record)
        abort();
    rpc_request_free(request);
    journal_end(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    char path[256];
    make_folder();
    (void)snprintf(path, sizeof(path), "%s/cmp1.journal/0000000001.000000001-2e0af6cc.request",
                   folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) < 0)
        abort();
    fuzz_check(journal_read_all(journal, visit, NULL, &err), &err);
    (void)unlink(path);
    (void)snprintf(path + strlen(path), sizeof(path) - strlen(path), ".unreadable");
    (void)unlink(path);
    return 0;
}
