/* SPDX-License-Identifier: Apache-2.0 */
/* See domain_session.h. */
#include "tool/domain_session.h"

#include <errno.h>
#include <stdio.h>

#include "common/log.h"

enum invocation_exit domain_session_complain(enum invocation_exit status, const char *text)
{
    (void)fprintf(stderr, "nova-snapshot: %s\n", text);
    return status;
}

enum invocation_exit domain_session_failed(const struct error *err)
{
    bool no_libvirt = error_is(err, EXC_LIBVIRT_ERROR) || err->errnum == ETIMEDOUT;
    return domain_session_complain(error_is(err, EXC_INSTANCE_NOT_FOUND) ? INVOCATION_NO_JOB
                                   : no_libvirt                          ? INVOCATION_UNREACHABLE
                                                                         : INVOCATION_FAILED,
                                   err->message);
}

int domain_session_open(const struct invocation *invocation, const char *name, bool looks_only,
                        struct session **ret_session, struct error *err)
{
    const struct session_options options = {.uri = invocation->values[INVOCATION_CONNECT],
                                            .state_dir = invocation->values[INVOCATION_STATE_DIR],
                                            .looks_only = looks_only};
    log_set_level(LOG_LEVEL_WARNING);
    return session_open(&options, name, ret_session, err);
}

void domain_session_warn_of_nova(const struct session *session, enum nova_guest_command command)
{
    const char *warning = nova_guest_warning_of(session, command);
    if (warning)
        (void)fprintf(stderr, "nova-snapshot: %s\n", warning);
}
