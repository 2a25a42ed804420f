/* SPDX-License-Identifier: Apache-2.0 */
/* See domain.h. */
#include "tool/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "domain/checkpoint_list.h"
#include "domain/image.h"
#include "domain/leftover.h"
#include "domain/record_list.h"
#include "tool/domain_list.h"
#include "tool/domain_progress.h"
#include "tool/domain_report.h"
#include "tool/domain_session.h"
#include "tool/domain_verify.h"

static enum invocation_exit make_image(const struct invocation *invocation,
                                       const struct image_request *request)
{
    struct session *session = NULL;
    struct image_report report = {0};
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    int r = image_take(session, request, &report, &err);
    domain_progress_end(request->observer->arg);
    if (r == 0)
        domain_report_images(invocation, session->uuid, &report, request->output ? stdout : stderr);
    else
        status = domain_session_complain(INVOCATION_FAILED, err.message);
    image_report_done(&report);
    session_close(session);
    return status;
}

enum invocation_exit domain_image(const struct invocation *invocation)
{
    const char *const *values = invocation->values;
    const char *output = values[INVOCATION_OUTPUT];
    bool to_stdout = output && strcmp(output, "-") == 0;
    struct domain_progress progress;
    const struct image_observer observer = {domain_progress_show, &progress};
    const struct image_request request = {.output = to_stdout ? NULL : output,
                                          .disk = values[INVOCATION_DOMAIN_DISK],
                                          .all_disks = values[INVOCATION_ALL_DISKS],
                                          .format = values[INVOCATION_FORMAT],
                                          .compress = values[INVOCATION_COMPRESS],
                                          .method = values[INVOCATION_METHOD],
                                          .quiesce = values[INVOCATION_QUIESCE],
                                          .checkpoint = values[INVOCATION_CHECKPOINT],
                                          .since = values[INVOCATION_SINCE],
                                          .observer = &observer};
    struct error err = ERROR_INIT;
    if (values[INVOCATION_CHAIN_VERIFY])
        return domain_verify(invocation, stdout);
    if (!output)
        return domain_session_complain(INVOCATION_USAGE, "an image needs an --output");
    if (to_stdout && (fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return domain_session_complain(INVOCATION_USAGE, "standard output is closed");
    if (to_stdout && isatty(STDOUT_FILENO) == 1)
        return domain_session_complain(INVOCATION_USAGE, "an image is nothing for a terminal");
    if (image_request_check(&request, &err) < 0)
        return domain_session_complain(INVOCATION_USAGE, err.message);
    domain_progress_begin(&progress);
    return make_image(invocation, &request);
}

enum invocation_exit domain_checkpoints(const struct invocation *invocation)
{
    struct session *session = NULL;
    struct checkpoint_list list = {0};
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    if (domain_session_open(invocation, invocation->argument, true, &session, &err) < 0)
        return domain_session_failed(&err);
    if (checkpoint_list_read(session, &list, &err) < 0)
        status = domain_session_complain(INVOCATION_FAILED, err.message);
    else
        domain_list_write(invocation, &list, stdout);
    checkpoint_list_done(&list);
    session_close(session);
    return status;
}

static enum invocation_exit recover_one(const struct invocation *invocation, const char *name,
                                        json_t *domains)
{
    struct session *session = NULL;
    struct error err = ERROR_INIT;
    const char *outcome = "nothing to undo";
    enum invocation_exit status = INVOCATION_DONE;
    int r = domain_session_open(invocation, name, false, &session, &err);
    if (r == 0 && !record_is_empty(session->record)) {
        r = leftover_undo_earlier(session, &err);
        outcome = session->outcome                   ? session->outcome
                  : record_is_empty(session->record) ? "undone"
                                                     : "undone but for a checkpoint";
    }
    if (r == -EBUSY && !session) /* its command is alive, and undoes itself what it does */
        outcome = err.message;
    else if (r < 0)
        status = session ? domain_session_complain(INVOCATION_FAILED, err.message)
                         : domain_session_failed(&err);
    if (status == INVOCATION_DONE)
        (void)json_array_append_new(domains,
                                    json_pack("{s:s, s:s}", "domain", name, "outcome", outcome));
    session_close(session);
    return status;
}

/* Each user has one of his own, and which that is depends on who asks, and from where. */
static bool is_of_user(const char *uri)
{
    return strstr(uri, ":///session") != NULL;
}

/* By the libvirt that its record is of: another one would find no such domain. */
static enum invocation_exit recover_recorded(const struct invocation *invocation,
                                             const char *state_dir, const char *uuid,
                                             json_t *domains)
{
    struct invocation of_record = *invocation;
    const char *given = invocation->values[INVOCATION_CONNECT];
    cleanup_free char *uri = record_list_libvirt(state_dir, uuid);
    if (uri && is_of_user(uri) && (!given || strcmp(given, uri) != 0)) {
        (void)fprintf(stderr,
                      "nova-snapshot: what a command has left on domain %s is of --connect %s, "
                      "which is each user's own: give that\n",
                      uuid, uri);
        return INVOCATION_DONE;
    }
    if (uri)
        of_record.values[INVOCATION_CONNECT] = uri;
    return recover_one(&of_record, uuid, domains);
}

/* All that something is written down of; the first failure is told by the exit status. */
static enum invocation_exit recover_all(const struct invocation *invocation, json_t *domains)
{
    const char *given = invocation->values[INVOCATION_STATE_DIR];
    const char *state_dir = given ? given : SESSION_STATE_DIR;
    cleanup_free char(*uuids)[ID_UUID_SIZE] = NULL;
    enum invocation_exit status = INVOCATION_DONE;
    struct error err = ERROR_INIT;
    size_t count = 0;
    if (record_list_uuids(state_dir, &uuids, &count, &err) < 0)
        return domain_session_complain(INVOCATION_FAILED, err.message);
    record_list_put_merges_last(state_dir, uuids, count);
    for (size_t i = 0; i < count; i++) {
        enum invocation_exit of_one = recover_recorded(invocation, state_dir, uuids[i], domains);
        status = status == INVOCATION_DONE ? of_one : status;
    }
    return status;
}

enum invocation_exit domain_recover(const struct invocation *invocation)
{
    bool all = invocation->values[INVOCATION_ALL] != NULL;
    if (all == (invocation->argument != NULL))
        return domain_session_complain(INVOCATION_USAGE, "it is either a DOMAIN or --all");
    json_t *domains = json_array();
    enum invocation_exit status = all ? recover_all(invocation, domains)
                                      : recover_one(invocation, invocation->argument, domains);
    domain_report_recovery(invocation, domains, stdout);
    json_decref(domains);
    return status;
}
