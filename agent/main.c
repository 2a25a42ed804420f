/* The daemon's life: configuration, parts, serving, and the way back. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/command_line.h"
#include "agent/host_lock.h"
#include "agent/setup.h"
#include "agent/thaw_left.h"
#include "agent/watchdog.h"
#include "common/cleanup.h"
#include "common/log.h"

#define FIRST_CONNECTION_MS 10000
#define GUESTS_BACK_MS 60000

/* Signals are taken by sigwait() alone, in every thread they are blocked. */
static void block_signals(sigset_t *ret_signals)
{
    (void)sigemptyset(ret_signals);
    (void)sigaddset(ret_signals, SIGTERM);
    (void)sigaddset(ret_signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
}

static void wait_for_signal(const sigset_t *signals)
{
    int number = 0;
    while (sigwait(signals, &number) != 0)
        continue;
    log_info("signal %d: taking no more requests", number);
}

/* Gives what runs its time to end. Returns false when something had to be left unfinished. */
static bool drain(struct agent *agent)
{
    bus_detach(agent->bus);
    unsigned timeout_s = (unsigned)agent->conf->DEFAULT.graceful_shutdown_timeout;
    unsigned left = workers_wait(agent->workers, timeout_s * 1000);
    if (left > 0)
        log_error("%u snapshots did not end within graceful_shutdown_timeout (%u s)", left,
                  timeout_s);
    return left == 0;
}

static int serve(struct agent *agent, struct error *err)
{
    sigset_t signals;
    block_signals(&signals);
    int r = recovery_run(agent->recovery, agent, GUESTS_BACK_MS, err);
    if (r < 0)
        return r;
    r = bus_start(agent->bus, FIRST_CONNECTION_MS, err);
    recovery_bus_is_started(agent->recovery);
    if (r == -ETIMEDOUT)
        log_warning("no connection to RabbitMQ yet, trying on: %s", err->message);
    else if (r < 0)
        return r;
    wait_for_signal(&signals);
    if (!drain(agent)) {
        freezer_thaw_all(agent->freezer);
        _exit(EXIT_FAILURE); /* workers still use what would be freed */
    }
    return 0;
}

static int run(struct conf *conf, struct error *err)
{
    struct agent agent = {.conf = conf};
    cleanup_close int lock = -1;
    cleanup_close int watchdog = -1;
    int r = host_lock_take(conf->snapshot_agent.state_dir, conf->DEFAULT.host, &lock, err);
    if (r == 0)
        r = setup_state(&agent, conf, err);
    if (r == 0)
        r = watchdog_start(thaw_left, &agent, &watchdog, err);
    if (r == 0)
        r = setup_agent(&agent, conf, err);
    if (r < 0)
        return r;
    log_info("nova-snapshot-agent %s serves host %s", VERSION, conf->DEFAULT.host);
    r = serve(&agent, err);
    setup_undo(&agent);
    log_info("ended");
    return r;
}

/*
 * Large buffers go back to the system when they are freed, and the few threads share two heaps: an
 * idle agent stays small.
 */
static void keep_memory_small(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 128 * 1024);
    (void)mallopt(M_ARENA_MAX, 2);
}

/* Building the parts connects nothing, and finds what only they can judge. */
static int check(struct conf *conf, struct error *err)
{
    struct agent agent = {0};
    int r = setup_agent(&agent, conf, err);
    if (r < 0)
        return r;
    setup_undo(&agent);
    conf_write_effective(conf, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    struct command_line line;
    struct error err = ERROR_INIT;
    struct conf *conf = NULL;
    keep_memory_small();
    command_line_parse(argc, argv, &line);
    log_init(LOG_LEVEL_INFO);
    int r = conf_load(line.sources, line.n_sources, &conf, &err);
    if (r == 0) {
        log_init(conf->DEFAULT.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
        r = line.check_config ? check(conf, &err) : run(conf, &err);
    }
    if (r < 0)
        log_error("%s", err.message);
    conf_free(conf);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
