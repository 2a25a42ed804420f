/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that dies in the middle of a call, and what it leaves: the scripted libvirt's world and
 * the journal, from which the next process recovers. Calls and entries before the death have had
 * their effect, the one it dies at has none.
 */
#pragma once

#include <jansson.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver/driver.h"
#include "driver/snapshot/recover.h"
#include "tests/unit/driver/scripted_libvirt.h"

/* What outlives the process. */
struct kept {
    __typeof__(world) world;
    char journal[1 << 16]; /* a line for each entry */
    bool frozen;           /* as the journal was told last */
    unsigned freezes, writes;
    void *more; /* state of the test's own, */
    void *more_kept;
    size_t more_size;
};
static struct kept *kept;

static void keep_nothing(void)
{
    kept->journal[0] = '\0';
    kept->frozen = false;
    kept->freezes = kept->writes = 0;
}

static int set_up_death(void)
{
    kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return kept == MAP_FAILED ? -1 : 0;
}

static int write_entry(void *arg, const json_t *entry, struct error *err)
{
    bool acts;
    bool failing = fails("journal-write", &acts);
    size_t used = strlen(kept->journal);
    (void)arg;
    if (acts) {
        char *text = json_dumps(entry, JSON_COMPACT);
        int n = snprintf(kept->journal + used, sizeof(kept->journal) - used, "%s\n", text);
        if (n < 0 || used + (size_t)n >= sizeof(kept->journal))
            abort();
        free(text);
        kept->writes++;
    }
    return failing ? error_set(err, 5, EXC_INTERNAL_ERROR, "injected in journal-write") : 0;
}

static int tell_frozen(void *arg, bool frozen, struct error *err)
{
    bool acts;
    (void)arg;
    if (frozen == kept->frozen || (!frozen && world.frozen))
        abort(); /* told twice, or too early */
    if (fails(frozen ? "journal-frozen" : "journal-thawed", &acts) && frozen)
        return error_set(err, 5, EXC_INTERNAL_ERROR, "injected in journal-frozen");
    kept->frozen = frozen;
    kept->freezes += frozen;
    return 0;
}

static const struct driver_journal journal = {.write = write_entry, .frozen = tell_frozen};

/* The entries; the caller's. */
static json_t *read_journal(void)
{
    json_t *entries = json_array();
    for (const char *line = kept->journal; *line; line = strchr(line, '\n') + 1)
        (void)json_array_append_new(entries, json_loadb(line, strcspn(line, "\n"), 0, NULL));
    return entries;
}

/* As the kernel does it: what the process held is lost, which is no leak of its. */
static void die(void)
{
    kept->world = world;
    if (kept->more)
        memcpy(kept->more_kept, kept->more, kept->more_size);
    (void)kill(getpid(), SIGKILL);
}

/* Runs a call in a process that dies at its call `index`, or when it has done all. */
static void run_until_death(int index, void (*run)(void))
{
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        world.die = die;
        world.die_index = index;
        run();
        die();
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL)
        abort();
    world = kept->world;
    world.die_index = -1;
    world.call_count = 0;
    world.fail_name = NULL;
    world.fail_index = -1;
    if (kept->more)
        memcpy(kept->more, kept->more_kept, kept->more_size);
}

/* The host goes down and comes back: what was in memory is gone. */
static inline void reboot_host(void)
{
    world.active = world.mirror = world.backup = world.frozen = false;
    world.agent_timeout_s = VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK;
    world.state = VIR_DOMAIN_SHUTOFF;
    world.exists = world.persistent;
}
