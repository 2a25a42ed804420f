/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's life: configuration, parts, serving, and the way back. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/agent.h"
#include "agent/canceller.h"
#include "agent/check_config.h"
#include "agent/command_line.h"
#include "agent/doctor.h"
#include "agent/freezer.h"
#include "agent/host_lock.h"
#include "agent/metrics.h"
#include "agent/operator.h"
#include "agent/preflight.h"
#include "agent/recover.h"
#include "agent/release.h"
#include "agent/reload.h"
#include "agent/sd_notify.h"
#include "agent/setup.h"
#include "agent/shutdown.h"
#include "agent/status_report.h"
#include "agent/thaw_left.h"
#include "agent/watchdog.h"
#include "agent/workers.h"
#include "amqp/bus.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "conf/conf.h"

#define FIRST_CONNECTION_MS 10000
#define FIRST_LOOK_MS 15000
#define GUESTS_BACK_MS 60000
#define WATCHDOG_END_MS 2000

/* This file, even when another one has taken its place since. */
#define OWN_PROGRAM "/proc/self/exe"

/* Signals are taken by the main thread alone: in every thread they are blocked. */
static void block_signals(sigset_t *ret_signals)
{
    (void)sigemptyset(ret_signals);
    (void)sigaddset(ret_signals, SIGTERM);
    (void)sigaddset(ret_signals, SIGINT);
    (void)sigaddset(ret_signals, SIGHUP);
    (void)sigaddset(ret_signals, SIGUSR1);
    (void)sigaddset(ret_signals, SIGUSR2);
    (void)sigaddset(ret_signals, OPERATOR_SIGNAL);
    (void)pthread_sigmask(SIG_BLOCK, ret_signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* What the main thread has in hand while the others serve. */
struct watch {
    struct agent *agent;
    const struct command_line *line;
    sigset_t signals;
    struct sd_notifier notifier;
};

/* The next signal, or 0 after `timeout_ms`; -1 = for ever. *ret_value came with it. */
static int next_signal(const sigset_t *signals, int timeout_ms, int *ret_value)
{
    siginfo_t info = {0};
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    int number = sigtimedwait(signals, &info, timeout_ms < 0 ? NULL : &timeout);
    *ret_value = info.si_value.sival_int;
    return number > 0 ? number : 0;
}

static void reload_on_signal(const struct watch *watch)
{
    sd_notify_reloading();
    reload_configuration(watch->agent, &watch->line->sources);
    sd_notify_ready();
}

/* What is under way goes on. */
static void drain_host(const struct watch *watch)
{
    bus_stand_aside(watch->agent->bus, BUS_ASIDE_DRAINED, true);
    log_info("drained: no request is taken until nova-snapshot resume or the next start, %u are "
             "under way",
             workers_running(watch->agent->workers));
}

static void resume_host(const struct watch *watch)
{
    bus_stand_aside(watch->agent->bus, BUS_ASIDE_DRAINED, false);
    log_info("no longer drained: requests are taken again");
}

static void obey_operator(const struct watch *watch, int wish)
{
    if (wish == OPERATOR_DRAIN)
        drain_host(watch);
    else if (wish == OPERATOR_RESUME)
        resume_host(watch);
}

/* True when it is a signal to end. */
static bool handle_signal(const struct watch *watch, int number, int value)
{
    if (number != 0)
        log_debug("signal %d", number);
    if (number == OPERATOR_SIGNAL) {
        obey_operator(watch, value);
        return false;
    }
    switch (number) {
    case 0:
        return false;
    case SIGHUP:
        reload_on_signal(watch);
        return false;
    case SIGUSR1:
        drain_host(watch);
        return false;
    case SIGUSR2:
        status_report_log(watch->agent);
        return false;
    default:
        return true;
    }
}

/* Until it is time to end. */
static void stand_watch(struct watch *watch)
{
    int timeout_ms = watch->notifier.interval_ms > 0 ? (int)watch->notifier.interval_ms : -1;
    int number, value;
    do {
        sd_notify_show(&watch->notifier);
        number = next_signal(&watch->signals, timeout_ms, &value);
    } while (!handle_signal(watch, number, value));
    log_info("signal %d: taking no more requests", number);
}

static bool was_asked_again(void *arg)
{
    struct watch *watch = arg;
    int number, value;
    bool again = false;
    sd_notify_show(&watch->notifier);
    while ((number = next_signal(&watch->signals, 0, &value)) != 0) {
        if (number == SIGUSR2)
            status_report_log(watch->agent);
        again = again || number == SIGTERM || number == SIGINT;
    }
    return again;
}

static void cancel_requests(struct agent *agent, enum shutdown_whom whom)
{
    struct error reason = ERROR_INIT;
    shutdown_reason(&reason);
    (void)canceller_cancel_all(
        agent->canceller, whom == SHUTDOWN_WAITING ? CANCELLER_WAITING : CANCELLER_ALL, &reason);
}

static void end_agent(struct watch *watch)
{
    const struct shutdown_ops ops = {
        .cancel = cancel_requests, .hurry = was_asked_again, .arg = watch};
    sd_notify_stop(&watch->notifier);
    if (shutdown_run(watch->agent, &ops))
        return;
    freezer_thaw_all(watch->agent->freezer);
    _exit(EXIT_FAILURE); /* workers still use what would be freed */
}

static int serve_until_told(struct watch *watch, struct error *err)
{
    struct agent *agent = watch->agent;
    int r = recovery_run(agent->recovery, agent, GUESTS_BACK_MS, err);
    if (r == 0) /* guests come first */
        r = preflight_start(agent->preflight, FIRST_LOOK_MS, err);
    if (r < 0)
        return r;
    r = bus_start(agent->bus, FIRST_CONNECTION_MS, err);
    recovery_bus_is_started(agent->recovery);
    release_ask(agent->release); /* for the first request */
    if (r < 0 && r != -ETIMEDOUT)
        return r;
    if (r < 0) {
        log_warning("not connected to RabbitMQ yet, will retry: %s", err->message);
        *err = (struct error)ERROR_INIT; /* not what the agent ends with */
    }
    sd_notify_init(&watch->notifier, agent);
    sd_notify_ready();
    stand_watch(watch);
    end_agent(watch);
    return 0;
}

/* Recovered requests may be under way by then: workers use what would be freed, or wait for ever.
 */
static void give_up_start(struct agent *agent, const struct error *err)
{
    if (workers_running(agent->workers) == 0)
        return;
    log_error("%s", err->message);
    freezer_thaw_all(agent->freezer);
    _exit(EXIT_FAILURE);
}

static int serve_host(struct watch *watch, struct error *err)
{
    log_info("nova-snapshot-agent %s serves host %s", VERSION, watch->agent->conf->DEFAULT.host);
    struct agent *agent = watch->agent;
    int r = doctor_new(agent, &watch->line->sources, true, &agent->doctor, err);
    if (r == 0) {
        operator_listen(agent);
        metrics_listen(agent);
        r = serve_until_told(watch, err);
    }
    if (r < 0)
        give_up_start(watch->agent, err);
    setup_undo(watch->agent);
    log_info("nova-snapshot-agent has ended");
    return r;
}

static int run_agent(struct conf *conf, const struct command_line *line, struct error *err)
{
    struct agent agent = {.conf = conf};
    struct watch watch = {.agent = &agent, .line = line};
    cleanup_close int lock = -1;
    struct thaw_left_command thaw_left;
    struct watchdog *watchdog = NULL;
    block_signals(&watch.signals); /* before the first thread */
    int r = host_lock_take(conf->snapshot_agent.state_dir, conf->DEFAULT.host, &lock, err);
    if (r == 0)
        r = setup_state(&agent, conf, err);
    if (r < 0)
        return r;
    thaw_left_prepare(&thaw_left, conf, agent.freeze_ledger);
    r = watchdog_start(OWN_PROGRAM, thaw_left.argv, &watchdog, err);
    if (r == 0)
        r = setup_agent(&agent, conf, err);
    if (r == 0)
        r = serve_host(&watch, err);
    watchdog_stop(watchdog, WATCHDOG_END_MS);
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

/* With the configuration: serves the host, or does what else was asked for. */
static int do_as_asked(struct conf *conf, const struct command_line *line, struct error *err)
{
    if (line->doctor)
        return doctor_program_run(conf, &line->sources, &line->request);
    log_init(conf->DEFAULT.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
    log_set_debug_modules((const char *const *)conf->snapshot_agent.debug_modules);
    if (line->check_config)
        return check_config(conf, &line->sources, stdout, err);
    return run_agent(conf, line, err) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct command_line line;
    struct error err = ERROR_INIT;
    struct conf *conf = NULL;
    int status = EXIT_FAILURE;
    /* A helper that reads a tenant's disk has our user: it shall not open /proc/PID/mem of ours. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (thaw_left_is_asked(argc, argv))
        return thaw_left_main(argv);
    keep_memory_small();
    command_line_parse(argc, argv, &line);
    log_init(line.doctor ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO);
    int r = conf_sources_complete(&line.sources, &err);
    if (r == 0)
        r = conf_load(line.sources.items, line.sources.n, &conf, &err);
    if (r == 0)
        status = do_as_asked(conf, &line, &err);
    else if (line.doctor)
        status = doctor_program_refused(&err, &line.request);
    if (err.errnum != 0 && !line.doctor)
        log_error("%s", err.message);
    conf_free(conf);
    conf_sources_done(&line.sources);
    return status;
}
