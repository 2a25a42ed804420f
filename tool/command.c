/* SPDX-License-Identifier: Apache-2.0 */
/* See command.h. What is made of it: command_doc.h. */
#include "tool/command.h"

#include <string.h>

#include "tool/change.h"
#include "tool/clean.h"
#include "tool/doctor.h"
#include "tool/show.h"
#include "tool/watch.h"

const struct command_option command_options[INVOCATION_OPTIONS] = {
    [INVOCATION_JSON] = {"json", NULL, "Prints what the agent has answered, for programs."},
    [INVOCATION_SOCKET] = {"socket", "PATH",
                           "Where the agent listens, when [snapshot_agent]control_socket is not "
                           "its default."},
    [INVOCATION_DISK] = {"disk", "MIB",
                         "MiB/s at which one snapshot reads its disk, 0 for no limit."},
    [INVOCATION_DISK_HOST] = {"disk-host", "MIB", "The same for all snapshots of the host."},
    [INVOCATION_UPLOAD] = {"upload", "MIB",
                           "MiB/s at which one image is uploaded, 0 for no limit."},
    [INVOCATION_UPLOAD_HOST] = {"upload-host", "MIB", "The same for all images of the host."},
    [INVOCATION_MODULES] = {"modules", "LIST",
                            "Parts of the agent whose debug lines are written, as "
                            "[snapshot_agent]debug_modules; empty for all."},
    [INVOCATION_INTERVAL] = {"interval", "SECONDS", "Looks as often; 1 unless it is given."},
    [INVOCATION_WAIT] = {"wait", "SECONDS",
                         "Waits so long for what is under way to end, and fails if it does not."},
    [INVOCATION_YES] = {"yes", NULL, "Removes what is nobody's, instead of only showing it."},
};

const struct command command_table[] = {
    {.name = "status",
     .summary = "Shows how the agent is.",
     .more = "Whether it takes requests, whether this host can take snapshots and why not, slots, "
             "limits, and what is under way.",
     .run = show_status},
    {.name = "jobs",
     .summary = "Lists the requests under way.",
     .more =
         "Each with the server, what it is at, how the snapshot is taken, how far the phase is, "
         "how fast, and how long it will take.",
     .run = show_jobs},
    {.name = "watch",
     .argument = "[JOB]",
     .summary = "Shows how far they are, again and again.",
     .more = "With a bar for each on a terminal. Ends when the job has ended; without one it goes "
             "on until it is interrupted.",
     .run = watch_jobs,
     .options = {INVOCATION_INTERVAL},
     .n_options = 1},
    {.name = "show", .argument = "JOB", .summary = "Shows all about one request.", .run = show_job},
    {.name = "cancel",
     .argument = "JOB",
     .summary = "Cancels a snapshot.",
     .more =
         "As deleting its image would: the guest is as it was before, the image is deleted, and "
         "the server's fault says who has done it. It takes a moment.",
     .run = change_cancel},
    {.name = "drain",
     .summary = "Takes no more requests.",
     .more = "They are nova-compute's from then on; those under way go on. It holds until resume, "
             "or the next start.",
     .run = change_drain,
     .options = {INVOCATION_WAIT},
     .n_options = 1},
    {.name = "resume", .summary = "Takes requests again.", .run = change_resume},
    {.name = "throttle",
     .argument = "[JOB]",
     .summary = "Changes rate limits, or shows them.",
     .more = "Limits of the host hold at once, those of a snapshot for the ones that begin "
             "afterwards; all are those of the configuration again after the next start, or when "
             "it is read again. With a job --upload limits that one's upload alone, at once.",
     .run = change_throttle,
     .options = {INVOCATION_DISK, INVOCATION_DISK_HOST, INVOCATION_UPLOAD, INVOCATION_UPLOAD_HOST},
     .n_options = 4},
    {.name = "doctor",
     .argument = "[INSTANCE]",
     .summary = "Looks whether all is well, and says what to do.",
     .more =
         "Of each thing the agent needs: ok, warn or fail. With the UUID of a server, or "
         "libvirt's name of its domain, how its snapshot would be taken now, why not otherwise, "
         "and what it would write. The agent looks; where none answers its program does, with "
         "the files nova-compute reads without arguments. Nothing is changed.",
     .run = doctor_run},
    {.name = "log-level",
     .argument = "[LEVEL]",
     .summary = "Sets what is logged, or shows it: error, warning, info, debug.",
     .more = "Until the next start, or until the configuration is read again.",
     .run = change_log_level,
     .options = {INVOCATION_MODULES},
     .n_options = 1},
    {.name = "clean",
     .summary = "Shows what crashed snapshots have left on this host, or removes it.",
     .more = CLEAN_MORE,
     .run = clean_leftovers,
     .options = {INVOCATION_YES},
     .n_options = 1},
    {.name = NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = command_table; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

bool command_takes(const struct command *command, enum invocation_option option)
{
    for (unsigned i = 0; i < command->n_options; i++)
        if (command->options[i] == option)
            return true;
    return option < COMMAND_COMMON_OPTIONS;
}
