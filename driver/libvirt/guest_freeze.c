/* SPDX-License-Identifier: Apache-2.0 */
/* See guest_freeze.h. */
#include "driver/libvirt/guest_freeze.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stddef.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"
#include "driver/journal.h"
#include "driver/libvirt/domain.h"

/* Of the failure at hand. nova tells an agent that does not respond from all others. */
static int note_code(struct guest_freeze *freeze)
{
    int code = virGetLastErrorCode();
    freeze->unresponsive = code == VIR_ERR_AGENT_UNRESPONSIVE;
    return code;
}

/* Errors that say that there is no agent to answer a freeze; others are the agent's own. */
static bool agent_is_absent(int code)
{
    return code == VIR_ERR_AGENT_UNRESPONSIVE || code == VIR_ERR_AGENT_UNSYNCED ||
           code == VIR_ERR_ARGUMENT_UNSUPPORTED || code == VIR_ERR_OPERATION_UNSUPPORTED ||
           code == VIR_ERR_OPERATION_INVALID || code == VIR_ERR_NO_DOMAIN ||
           code == VIR_ERR_CONFIG_UNSUPPORTED || code == VIR_ERR_NO_SUPPORT;
}

/* Whether the freeze was carried out, or will be, is not known until a thaw succeeds. */
static bool answer_was_lost(const struct guest_freeze *freeze, virDomainPtr domain, int code)
{
    return code == VIR_ERR_AGENT_UNRESPONSIVE ||
           libvirt_connection_is_lost(freeze->connection, domain);
}

/* What the agent says of itself. */
enum freeze_status {
    STATUS_FROZEN,
    STATUS_THAWED,
    STATUS_UNKNOWN,    /* it answers none of our questions */
    STATUS_UNANSWERED, /* it does not answer */
};

/*
 * A frozen agent does nothing but thaw (qga/main.c: ga_freeze_allowlist), so one that tells its
 * time is not frozen. Its own guest-fsfreeze-status would have to go around libvirt, which then
 * marks the domain as tainted.
 */
static enum freeze_status read_status(struct guest_freeze *freeze, virDomainPtr domain,
                                      struct error *ret_refusal)
{
    long long seconds = 0;
    unsigned nanoseconds = 0;
    if (!freeze->answers)
        return STATUS_UNKNOWN;
    if (virDomainGetTime(domain, &seconds, &nanoseconds, 0) == 0)
        return STATUS_THAWED;
    const int code = note_code(freeze);
    (void)libvirt_error(ret_refusal, "it does not tell its time");
    if (answer_was_lost(freeze, domain, code))
        return STATUS_UNANSWERED;
    return agent_is_absent(code) ? STATUS_UNKNOWN : STATUS_FROZEN;
}

int guest_freeze_limit_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    int timeout = freeze->timeout_s < INT_MAX ? (int)freeze->timeout_s : INT_MAX;
    int r = virDomainAgentSetResponseTimeout(domain, timeout, 0);
    freeze->limited = r == 0 || !agent_is_absent(virGetLastErrorCode()); /* it may have been done */
    return r < 0 ? libvirt_error(err, "cannot limit the guest agent's time to answer") : 0;
}

/* The guest is known not to be frozen by us. */
static void set_thawed(struct guest_freeze *freeze)
{
    freeze->thaw_needed = false;
    if (freeze->frozen_ms != 0)
        metric_observe(METRIC_FREEZE, 0, clock_now_ms() - freeze->frozen_ms);
    freeze->frozen_ms = 0;
    if (freeze->told)
        driver_journal_thawed(freeze->journal);
    freeze->told = false;
}

static int check_frozen(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    struct error ignored = ERROR_INIT;
    enum freeze_status status = read_status(freeze, domain, &ignored);
    if (status == STATUS_UNANSWERED)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "the guest agent does not tell whether it has frozen the guest's "
                         "filesystems");
    if (status != STATUS_THAWED)
        return 0;
    freeze->frozen_ms = 0;
    set_thawed(freeze);
    return error_set(err, EIO, EXC_INTERNAL_ERROR,
                     "the guest agent is at work as in a thawed guest after it has frozen one");
}

static int freeze_now(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    freeze->told = true;
    freeze->thaw_needed = true;
    int frozen = virDomainFSFreeze(domain, NULL, 0, 0);
    log_debug("guest agent: freeze answered with %d (filesystems, -1: failed)", frozen);
    freeze->frozen_ms = frozen > 0 ? clock_now_ms() : 0;
    if (frozen > 0)
        return check_frozen(freeze, domain, err);
    if (frozen == 0) { /* all there is; its hooks may hold still, and Windows' agent needs a thaw */
        log_info("the guest agent has found no filesystem to freeze");
        return 0;
    }
    int r = libvirt_error(err, "cannot freeze the guest's filesystems");
    if (answer_was_lost(freeze, domain, note_code(freeze)))
        return r;
    if (freeze->answers)
        (void)virDomainFSThaw(domain, NULL, 0, 0); /* what was frozen before it failed */
    set_thawed(freeze);
    return r;
}

int guest_freeze_start(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    long long seconds = 0;
    unsigned nanoseconds = 0;
    int r = guest_freeze_limit_agent(freeze, domain, err);
    if (r < 0)
        return r;
    /* A question without effect first: a freeze that times out may be carried out later. The agent
     * of a guest that is already frozen refuses it. */
    freeze->answers = virDomainGetTime(domain, &seconds, &nanoseconds, 0) == 0;
    log_debug("guest agent: it %s its time before the freeze",
              freeze->answers ? "tells" : "does not tell");
    if (!freeze->answers && agent_is_absent(note_code(freeze)))
        return libvirt_error(err, "the guest agent does not answer");
    r = driver_journal_freezing(freeze->journal, err);
    return r < 0 ? r : freeze_now(freeze, domain, err);
}

int guest_freeze_end(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    struct error refusal = ERROR_INIT;
    if (!freeze->thaw_needed || !domain)
        return 0;
    if (virDomainFSThaw(domain, NULL, 0, 0) < 0) {
        (void)note_code(freeze);
        return libvirt_error(err, "cannot thaw the guest's filesystems");
    }
    if (read_status(freeze, domain, &refusal) == STATUS_FROZEN) {
        *err = refusal;
        return error_prepend(
            err, "the guest agent is still as in a frozen guest after it has thawed one");
    }
    log_debug("guest agent: the guest is thawed");
    set_thawed(freeze);
    return 0;
}

int guest_freeze_release_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    if (!freeze->limited || !domain)
        return 0;
    if (virDomainAgentSetResponseTimeout(domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0) < 0)
        return libvirt_error(err, "cannot give the guest agent its time to answer back");
    freeze->limited = false;
    return 0;
}

static enum freeze_status ask_status(struct guest_freeze *freeze, virDomainPtr domain,
                                     struct error *ret_refusal)
{
    struct error ignored = ERROR_INIT;
    if (guest_freeze_limit_agent(freeze, domain, ret_refusal) < 0)
        return STATUS_UNKNOWN;
    freeze->answers = true; /* or it is away, which the question tells */
    enum freeze_status status = read_status(freeze, domain, ret_refusal);
    (void)guest_freeze_release_agent(freeze, domain, &ignored);
    return status;
}

static int refuse_frozen(const struct error *refusal, struct error *err)
{
    return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                     "somebody else has frozen the guest's filesystems: %s", refusal->message);
}

int guest_freeze_check_thawed(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    struct error refusal = ERROR_INIT;
    return ask_status(freeze, domain, &refusal) == STATUS_FROZEN ? refuse_frozen(&refusal, err) : 0;
}

int guest_freeze_need_thawed(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    struct error refusal = ERROR_INIT;
    enum freeze_status status = ask_status(freeze, domain, &refusal);
    if (status == STATUS_THAWED || status == STATUS_FROZEN)
        return status == STATUS_THAWED ? 0 : refuse_frozen(&refusal, err);
    *err = refusal;
    return error_prepend(err, "the guest agent does not answer");
}

int guest_freeze_end_left(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int r = guest_freeze_limit_agent(freeze, domain, err);
    freeze->answers = true;
    if (r == 0 && read_status(freeze, domain, &ignored) != STATUS_THAWED) {
        freeze->thaw_needed = true;
        r = guest_freeze_end(freeze, domain, err);
    }
    return guest_freeze_release_agent(freeze, domain, r < 0 ? &ignored : err) < 0 && r == 0
               ? -err->errnum
               : r;
}

/* The guest has ended: nothing of it is frozen, there is no agent any more. */
static void forget_freeze(struct guest_freeze *freeze)
{
    set_thawed(freeze);
    freeze->limited = false;
}

int guest_freeze_find_again(struct guest_freeze *freeze, const char *uuid, virDomainPtr *domain,
                            bool *ret_active, struct error *err)
{
    int r = libvirt_domain_find_again(freeze->connection, uuid, domain, ret_active, err);
    if (r == 0 && !*ret_active)
        forget_freeze(freeze);
    return r;
}
