/* See guest_freeze.h. */
#include "driver/guest_freeze.h"

#include <errno.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "driver/driver_journal.h"
#include "driver/libvirt_connection.h"

#define ANSWER_MAX_BYTES 4096

/* Errors after which nobody can be expected to answer a freeze; others come from the agent. */
static bool agent_is_absent(int code)
{
    return code == VIR_ERR_AGENT_UNRESPONSIVE || code == VIR_ERR_AGENT_UNSYNCED ||
           code == VIR_ERR_ARGUMENT_UNSUPPORTED || code == VIR_ERR_OPERATION_UNSUPPORTED ||
           code == VIR_ERR_OPERATION_INVALID || code == VIR_ERR_NO_DOMAIN ||
           code == VIR_ERR_CONFIG_UNSUPPORTED || code == VIR_ERR_NO_SUPPORT;
}

/* Nobody knows what the agent will have made of the freeze: only a thaw that succeeds ends that. */
static bool answer_was_lost(virDomainPtr domain)
{
    return virGetLastErrorCode() == VIR_ERR_AGENT_UNRESPONSIVE ||
           virConnectIsAlive(virDomainGetConnect(domain)) != 1;
}

/* What the agent says of itself. */
enum freeze_status {
    STATUS_FROZEN,
    STATUS_THAWED,
    STATUS_UNKNOWN,    /* it does not answer this question */
    STATUS_UNANSWERED, /* it does not answer */
};

static enum freeze_status parse_status(const char *answer)
{
    struct error ignored = ERROR_INIT;
    json_t *root = NULL;
    if (json_parse(answer, strlen(answer), ANSWER_MAX_BYTES, "answer", &root, &ignored) < 0)
        return STATUS_UNKNOWN;
    const char *text = json_string_member(root, "return");
    enum freeze_status status = !text                         ? STATUS_UNKNOWN
                                : strcmp(text, "frozen") == 0 ? STATUS_FROZEN
                                : strcmp(text, "thawed") == 0 ? STATUS_THAWED
                                                              : STATUS_UNKNOWN;
    json_decref(root);
    return status;
}

/* qga/qapi-schema.json: guest-fsfreeze-status, which a frozen agent answers too. */
static enum freeze_status read_status(const struct guest_freeze *freeze, virDomainPtr domain)
{
    int timeout = freeze->timeout_s < INT_MAX ? (int)freeze->timeout_s : INT_MAX;
    cleanup_free char *answer =
        virDomainQemuAgentCommand(domain, "{\"execute\":\"guest-fsfreeze-status\"}", timeout, 0);
    if (answer)
        return parse_status(answer);
    return answer_was_lost(domain) ? STATUS_UNANSWERED : STATUS_UNKNOWN;
}

int guest_freeze_limit_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    int timeout = freeze->timeout_s < INT_MAX ? (int)freeze->timeout_s : INT_MAX;
    int r = virDomainAgentSetResponseTimeout(domain, timeout, 0);
    freeze->limited = r == 0 || !agent_is_absent(virGetLastErrorCode()); /* it may have been done */
    return r < 0 ? libvirt_error(err, "cannot limit the guest agent's time to answer") : 0;
}

/* Known not to be frozen by us. */
static void is_thawed(struct guest_freeze *freeze)
{
    freeze->thaw_needed = false;
    if (freeze->told)
        driver_journal_thawed(freeze->journal);
    freeze->told = false;
}

static int check_frozen(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    enum freeze_status status = read_status(freeze, domain);
    if (status == STATUS_UNANSWERED)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "the guest agent does not tell whether it has frozen the guest's "
                         "filesystems");
    if (status != STATUS_THAWED)
        return 0;
    is_thawed(freeze);
    return error_set(err, EIO, EXC_INTERNAL_ERROR,
                     "the guest agent reports the guest's filesystems thawed after it has frozen "
                     "them");
}

static int freeze_now(struct guest_freeze *freeze, virDomainPtr domain, bool answers,
                      struct error *err)
{
    freeze->told = true;
    freeze->thaw_needed = true;
    if (virDomainFSFreeze(domain, NULL, 0, 0) >= 0)
        return check_frozen(freeze, domain, err);
    int r = libvirt_error(err, "cannot freeze the guest's filesystems");
    if (answer_was_lost(domain))
        return r;
    if (answers)
        (void)virDomainFSThaw(domain, NULL, 0, 0); /* what was frozen before it failed */
    is_thawed(freeze);
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
    bool answers = virDomainGetTime(domain, &seconds, &nanoseconds, 0) == 0;
    if (!answers && agent_is_absent(virGetLastErrorCode()))
        return libvirt_error(err, "the guest agent does not answer");
    r = driver_journal_freezing(freeze->journal, err);
    return r < 0 ? r : freeze_now(freeze, domain, answers, err);
}

int guest_freeze_end(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    if (!freeze->thaw_needed)
        return 0;
    if (virDomainFSThaw(domain, NULL, 0, 0) < 0)
        return libvirt_error(err, "cannot thaw the guest's filesystems");
    if (read_status(freeze, domain) == STATUS_FROZEN)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "the guest agent reports the guest's filesystems frozen after it has "
                         "thawed them");
    is_thawed(freeze);
    return 0;
}

int guest_freeze_release_agent(struct guest_freeze *freeze, virDomainPtr domain, struct error *err)
{
    if (!freeze->limited)
        return 0;
    if (virDomainAgentSetResponseTimeout(domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0) < 0)
        return libvirt_error(err, "cannot give the guest agent its time to answer back");
    freeze->limited = false;
    return 0;
}

void guest_freeze_forget(struct guest_freeze *freeze)
{
    is_thawed(freeze);
    freeze->limited = false;
}
