/* SPDX-License-Identifier: Apache-2.0 */
/* See thaw_left.h. */
#include "agent/thaw_left.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/retry.h"
#include "driver/driver.h"
#include "driver/libvirt_driver.h"

#define OPTION "--thaw-left"
#define GUESTS_MAX 1024

/* The driver has deadlines of its own; this is for a libvirtd that hangs beyond all of them. */
#define LAST_RESORT_S 600

enum argument {
    PROGRAM,
    ASKED,
    STATE_DIR,
    HOST,
    OWNER,
    URI,
    VIRT_TYPE,
    INSTANCES,
    SNAPSHOTS,
    STALL_TIMEOUT,
    FREEZE_TIMEOUT
};

struct thawing {
    struct freeze_ledger *ledger;
    struct driver *driver;
    struct guest {
        struct thawing *thawing;
        char uuid[ID_UUID_SIZE];
        pthread_t thread;
        bool has_thread;
    } guests[GUESTS_MAX];
    unsigned n_guests;
};

void thaw_left_prepare(struct thaw_left_command *command, const struct conf *conf,
                       const struct freeze_ledger *ledger)
{
    static char program[] = "nova-snapshot-agent", option[] = OPTION;
    (void)snprintf(command->owner, sizeof(command->owner), "%s", freeze_ledger_owner(ledger));
    (void)snprintf(command->stall_timeout, sizeof(command->stall_timeout), "%d",
                   conf->snapshot_agent.stall_timeout);
    (void)snprintf(command->freeze_timeout, sizeof(command->freeze_timeout), "%d",
                   conf->snapshot_agent.freeze_timeout);
    char *const argv[] = {[PROGRAM] = program,
                          [ASKED] = option,
                          [STATE_DIR] = conf->snapshot_agent.state_dir,
                          [HOST] = conf->DEFAULT.host,
                          [OWNER] = command->owner,
                          [URI] = conf->libvirt.connection_uri,
                          [VIRT_TYPE] = conf->libvirt.virt_type,
                          [INSTANCES] = conf->DEFAULT.instances_path,
                          [SNAPSHOTS] = conf->libvirt.snapshots_directory,
                          [STALL_TIMEOUT] = command->stall_timeout,
                          [FREEZE_TIMEOUT] = command->freeze_timeout,
                          [THAW_LEFT_ARGUMENTS] = NULL};
    memcpy(command->argv, argv, sizeof(argv));
}

bool thaw_left_is_asked(int argc, char *const *argv)
{
    return argc == THAW_LEFT_ARGUMENTS && strcmp(argv[ASKED], OPTION) == 0;
}

/* -ESTALE: the next agent has taken it over, and may have frozen it for a snapshot of its own. */
static int try_thaw(const struct guest *guest, struct error *err)
{
    struct driver *driver = guest->thawing->driver;
    const struct freeze_ledger *ledger = guest->thawing->ledger;
    if (!freeze_ledger_is_ours(ledger, guest->uuid))
        return error_set(err, ESTALE, EXC_INTERNAL_ERROR, "it is another agent's now");
    int r = driver->ops->thaw(driver, guest->uuid, err);
    if (r == 0 && freeze_ledger_is_ours(ledger, guest->uuid))
        freeze_ledger_remove(ledger, guest->uuid);
    return r;
}

static void *thaw_left_behind(void *arg)
{
    static const struct retry_policy policy = {1000, 200, 2000, 60000};
    const struct guest *guest = arg;
    struct retry retry = retry_begin(&policy);
    struct error err = ERROR_INIT;
    log_set_context(NULL, guest->uuid);
    int r = try_thaw(guest, &err);
    while (r < 0 && r != -ESTALE && retry_wait(&retry, 0)) {
        err = (struct error)ERROR_INIT;
        r = try_thaw(guest, &err);
    }
    if (r == 0)
        log_warning("the agent died while the guest was frozen: it is thawed");
    else if (r == -ESTALE)
        log_info("the agent died while the guest was frozen: the next agent thaws it");
    else
        log_error("the agent died while the guest was frozen, and it cannot be thawed: %s: the "
                  "next start of the agent thaws it",
                  err.message);
    log_set_context(NULL, NULL);
    return NULL;
}

static void add_guest(void *arg, const char *uuid, bool by_us)
{
    struct thawing *thawing = arg;
    if (!by_us || thawing->n_guests == GUESTS_MAX)
        return;
    struct guest *guest = &thawing->guests[thawing->n_guests++];
    guest->thawing = thawing;
    (void)snprintf(guest->uuid, sizeof(guest->uuid), "%s", uuid);
}

/* One whose agent does not answer keeps no other waiting. */
static void thaw_guests(struct thawing *thawing)
{
    for (unsigned i = 0; i < thawing->n_guests; i++) {
        struct guest *guest = &thawing->guests[i];
        guest->has_thread = pthread_create(&guest->thread, NULL, thaw_left_behind, guest) == 0;
        if (!guest->has_thread)
            (void)thaw_left_behind(guest);
    }
    for (unsigned i = 0; i < thawing->n_guests; i++)
        if (thawing->guests[i].has_thread)
            (void)pthread_join(thawing->guests[i].thread, NULL);
}

static int make_driver(char *const *argv, struct driver **ret_driver, struct error *err)
{
    const struct libvirt_driver_options options = {
        .connection_uri = argv[URI],
        .virt_type = argv[VIRT_TYPE],
        .instances_path = argv[INSTANCES],
        .snapshots_directory = argv[SNAPSHOTS],
        .stall_timeout_s = (unsigned)strtoul(argv[STALL_TIMEOUT], NULL, 10),
        .freeze_timeout_s = (unsigned)strtoul(argv[FREEZE_TIMEOUT], NULL, 10),
    };
    return libvirt_driver_new(&options, ret_driver, err);
}

static int thaw_left_run(struct thawing *thawing, char *const *argv, struct error *err)
{
    int r = freeze_ledger_open_as(argv[STATE_DIR], argv[HOST], argv[OWNER], &thawing->ledger, err);
    if (r == 0)
        r = freeze_ledger_visit(thawing->ledger, add_guest, thawing, err);
    if (r < 0 || thawing->n_guests == 0)
        return r;
    r = make_driver(argv, &thawing->driver, err);
    if (r < 0)
        return r;
    thaw_guests(thawing);
    return 0;
}

int thaw_left_main(char *const *argv)
{
    struct error err = ERROR_INIT;
    (void)prctl(PR_SET_NAME, "nsa-watchdog");
    (void)alarm(LAST_RESORT_S);
    log_init(LOG_LEVEL_INFO);
    struct thawing *thawing = calloc(1, sizeof(*thawing));
    int r = thawing ? thaw_left_run(thawing, argv, &err) : error_nomem(&err);
    if (r < 0)
        log_error("guests the agent has left frozen are not thawed: %s", err.message);
    if (thawing) {
        driver_free(thawing->driver);
        freeze_ledger_free(thawing->ledger);
    }
    free(thawing);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
