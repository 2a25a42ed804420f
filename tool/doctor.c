/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor.h. */
#include "tool/doctor.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/findings.h"
#include "tool/call.h"

#define LOOK_MS 180000
#define NAME_BYTES_MAX 128

/* It becomes part of a path: a UUID, or what libvirt's names are made of by nova's template. */
static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length <= NAME_BYTES_MAX &&
           strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-") ==
               length;
}

/* Beside this program, or where an installation has it. */
static bool find_program(char ret_path[static PATH_MAX])
{
    static const char *const places[] = {"", "/../sbin"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return false;
    self[n] = '\0';
    const char *folder = dirname(self);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int length = snprintf(ret_path, PATH_MAX, "%s%s/nova-snapshot-agent", folder, places[i]);
        if (length > 0 && length < PATH_MAX && access(ret_path, X_OK) == 0)
            return true;
    }
    return false;
}

/* Returns only when it cannot be run. */
static enum invocation_exit run_program(const struct invocation *invocation)
{
    char path[PATH_MAX], option[NAME_BYTES_MAX + 16], json[] = "--json";
    const char *instance = invocation->argument;
    (void)snprintf(option, sizeof(option), "--doctor%s%s", instance ? "=" : "",
                   instance ? instance : "");
    char *const argv[] = {path, option, invocation->values[INVOCATION_JSON] ? json : NULL, NULL};
    if (!find_program(path)) {
        (void)fputs("nova-snapshot: nova-snapshot-agent is not to be found, which would look "
                    "without an agent that runs\n",
                    stderr);
        return INVOCATION_UNREACHABLE;
    }
    (void)fprintf(stderr, "nova-snapshot: %s looks itself\n", path);
    (void)execv(path, argv);
    struct error err = ERROR_INIT;
    (void)error_errno(&err, errno, "nova-snapshot: %s cannot be run", path);
    (void)fprintf(stderr, "%s\n", err.message);
    return INVOCATION_UNREACHABLE;
}

enum invocation_exit doctor_run(const struct invocation *invocation)
{
    char path[NAME_BYTES_MAX + 32];
    const char *instance = invocation->argument;
    json_t *report = NULL;
    if (instance && !is_name(instance)) {
        (void)fputs("nova-snapshot: an instance is a UUID, or libvirt's name of its domain\n",
                    stderr);
        return INVOCATION_USAGE;
    }
    (void)snprintf(path, sizeof(path), "/v1/doctor%s%s", instance ? "/" : "",
                   instance ? instance : "");
    const struct call call = {.method = "GET", .path = path, .timeout_ms = LOOK_MS};
    enum invocation_exit status = call_agent(invocation, &call, &report);
    if (status == INVOCATION_UNREACHABLE && call_finds_nobody(invocation))
        return run_program(invocation);
    if (status == INVOCATION_DONE) {
        if (!call_print_json(invocation, report))
            findings_write(report, stdout);
        if (!json_is_array(json_object_get(report, "findings")))
            status = call_complain_of_lack("findings");
        else if (findings_exit(report) != 0)
            status = INVOCATION_NOT_WELL;
    }
    json_decref(report);
    return status;
}
