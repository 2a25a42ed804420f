/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_save.h. */
#include "tool/domain_save.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "domain/restore.h"
#include "domain/save.h"
#include "tool/domain_progress.h"
#include "tool/domain_report.h"
#include "tool/domain_session.h"
#include "tool/units.h"

static unsigned flags_of(const struct invocation *invocation)
{
    return (invocation->values[INVOCATION_RUNNING] ? VIR_DOMAIN_SAVE_RUNNING : 0) |
           (invocation->values[INVOCATION_PAUSED] ? VIR_DOMAIN_SAVE_PAUSED : 0);
}

static bool is_both(unsigned flags)
{
    return flags == (VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED);
}

static void tell_saved(const struct invocation *invocation, const char *uuid,
                       const struct save_report *report)
{
    struct stat st = {0};
    bool is_file = report->memory[0] != '\0' && stat(report->memory, &st) == 0;
    bool verified = invocation->values[INVOCATION_VERIFY_DISKS];
    if (invocation->values[INVOCATION_JSON]) {
        domain_report_json(json_pack("{s:s, s:s*, s:s, s:I, s:I, s:I, s:i, s:b}", "uuid", uuid,
                                     "memory", is_file ? report->memory : NULL, "disks",
                                     report->disks, "size_bytes", (json_int_t)st.st_size,
                                     "stopped_ms", (json_int_t)report->stopped_ms, "took_ms",
                                     (json_int_t)report->took_ms, "layers",
                                     (int)report->layer_count, "disks_read", verified),
                           stdout);
        return;
    }
    if (is_file)
        (void)printf("%s: saved in %s, %s\n", invocation->argument, report->memory,
                     units_bytes((uint64_t)st.st_size).text);
    else
        (void)printf("%s: saved, libvirt keeps it\n", invocation->argument);
    (void)printf("    %s tells its disks, of %zu files, from changed ones: by times%s\n",
                 report->disks, report->layer_count, verified ? " and SHA-256" : "");
    (void)printf("    it took %.1f s; the guest has stood still since it began\n",
                 (double)report->took_ms / 1000);
}

static enum invocation_exit save(const struct invocation *invocation,
                                 const struct save_request *request)
{
    struct session *session = NULL;
    struct save_report report;
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    if (domain_session_open(invocation, invocation->argument, false, &session, &err) < 0)
        return domain_session_failed(&err);
    int r = save_take(session, request, &report, &err);
    domain_progress_end(request->observer->arg);
    if (r == 0)
        tell_saved(invocation, session->uuid, &report);
    else
        status = domain_session_complain(INVOCATION_FAILED, err.message);
    if (status == INVOCATION_DONE)
        domain_session_warn_of_nova(session, NOVA_GUEST_SAVE);
    session_close(session);
    return status;
}

enum invocation_exit domain_save(const struct invocation *invocation)
{
    struct domain_progress progress;
    const struct image_observer observer = {domain_progress_show, &progress};
    const struct save_request request = {.file = invocation->values[INVOCATION_OUTPUT],
                                         .flags = flags_of(invocation),
                                         .verify_disks =
                                             invocation->values[INVOCATION_VERIFY_DISKS],
                                         .observer = &observer};
    bool is_managed = invocation->values[INVOCATION_MANAGED] != NULL;
    if (is_managed == (request.file != NULL))
        return domain_session_complain(INVOCATION_USAGE, "it is either an --output or --managed");
    if (request.file && strcmp(request.file, "-") == 0)
        return domain_session_complain(INVOCATION_USAGE, "a guest's memory goes to a file");
    if (is_both(request.flags))
        return domain_session_complain(INVOCATION_USAGE, "it is either --running or --paused");
    domain_progress_begin(&progress);
    return save(invocation, &request);
}

static void tell_restored(const struct invocation *invocation, const char *uuid,
                          const struct restore_report *report)
{
    if (invocation->values[INVOCATION_JSON]) {
        domain_report_json(json_pack("{s:s, s:b, s:b, s:I}", "uuid", uuid, "paused",
                                     report->is_paused, "disks_checked", report->is_checked,
                                     "stood_still_ms", (json_int_t)report->stood_still_ms),
                           stdout);
        return;
    }
    (void)printf("%s: %s again, %s", invocation->argument, report->is_paused ? "paused" : "running",
                 report->is_checked ? "no disk has changed" : "its disks may have changed");
    if (report->stood_still_ms > 0)
        (void)printf("; the guest stood still for %s",
                     units_time((double)report->stood_still_ms / 1000).text);
    (void)putchar('\n');
}

static enum invocation_exit restore(const struct invocation *invocation, const char *domain,
                                    const struct restore_request *request)
{
    struct session *session = NULL;
    struct restore_report report;
    struct error err = ERROR_INIT;
    enum invocation_exit status = INVOCATION_DONE;
    const struct session_options options = {.uri = invocation->values[INVOCATION_CONNECT],
                                            .state_dir = invocation->values[INVOCATION_STATE_DIR],
                                            .takes_unknown = request->file != NULL};
    if (session_open(&options, domain, &session, &err) < 0)
        return domain_session_failed(&err);
    int r = restore_run(session, request, &report, &err);
    domain_progress_end(request->observer->arg);
    if (r == 0)
        tell_restored(invocation, session->uuid, &report);
    else
        status = domain_session_complain(INVOCATION_FAILED, err.message);
    if (status == INVOCATION_DONE)
        domain_session_warn_of_nova(session, NOVA_GUEST_RESTORE);
    session_close(session);
    return status;
}

static bool is_file(const char *argument)
{
    struct stat st;
    return strchr(argument, '/') || (stat(argument, &st) == 0 && S_ISREG(st.st_mode));
}

enum invocation_exit domain_restore(const struct invocation *invocation)
{
    char uuid[DRIVER_UUID_MAX];
    struct domain_progress progress;
    struct error err = ERROR_INIT;
    const struct image_observer observer = {domain_progress_show, &progress};
    cleanup_free char *file =
        is_file(invocation->argument) ? realpath(invocation->argument, NULL) : NULL;
    const struct restore_request request = {.file = file,
                                            .flags = flags_of(invocation),
                                            .verify_disks =
                                                invocation->values[INVOCATION_VERIFY_DISKS],
                                            .force = invocation->values[INVOCATION_FORCE_RESTORE],
                                            .observer = &observer};
    if (is_both(request.flags))
        return domain_session_complain(INVOCATION_USAGE, "it is either --running or --paused");
    if (!file && is_file(invocation->argument))
        return domain_session_complain(INVOCATION_FAILED, "there is no such file");
    log_set_level(LOG_LEVEL_WARNING);
    if (file && restore_read_uuid(invocation->values[INVOCATION_CONNECT], file, uuid, &err) < 0)
        return domain_session_failed(&err);
    domain_progress_begin(&progress);
    return restore(invocation, file ? uuid : invocation->argument, &request);
}
