/* SPDX-License-Identifier: Apache-2.0 */
/* See command.h. What is made of it: command_doc.h. */
#include "tool/command.h"

#include <stdio.h>
#include <string.h>

#include "tool/change.h"
#include "tool/clean.h"
#include "tool/doctor.h"
#include "tool/domain.h"
#include "tool/domain_delete.h"
#include "tool/domain_save.h"
#include "tool/show.h"
#include "tool/watch.h"

const struct command_option command_options[INVOCATION_OPTIONS] = {
    [INVOCATION_JSON] =
        {"json", NULL, "Prints JSON, for programs: what the agent has answered, or what was done."},
    [INVOCATION_SOCKET] = {"socket", "PATH",
                           "Where the agent listens, when [snapshot_agent]control_socket is not "
                           "its default; of commands that ask it."},
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
    [INVOCATION_OUTPUT] = {"output", "FILE",
                           "The file that is made, which has this name when it is whole. Of domain "
                           "image: with --all-disks a "
                           "folder, for files <disk>.<format>; - is standard output."},
    [INVOCATION_DOMAIN_DISK] = {"disk", "TARGET",
                                "Of a domain: the disk with this target, as vda; the first one "
                                "unless it is given."},
    [INVOCATION_ALL_DISKS] = {"all-disks", NULL,
                              "All hard disks at one instant: one backup job, within one freeze; "
                              "by the method stream, raw or "
                              "qcow2 and not compressed."},
    [INVOCATION_FORMAT] = {"format", "FORMAT",
                           "qcow2, which it is unless it is given, raw, vmdk or vdi."},
    [INVOCATION_COMPRESS] = {"compress", NULL, "A compressed qcow2 image."},
    [INVOCATION_METHOD] = {"method", "METHOD",
                           "stream, blockcopy, blockrebase or cold, and no other. Unless it is "
                           "given: stream, else blockcopy. cold saves a running guest to disk "
                           "meanwhile."},
    [INVOCATION_QUIESCE] = {"quiesce", NULL,
                            "Has the guest agent freeze the filesystems for the instant, or fails; "
                            "a checkpoint's with --disk-only alone, an image's not by cold."},
    [INVOCATION_CHECKPOINT] = {"checkpoint", "NAME",
                               "Makes a checkpoint of libvirt's at the same instant, for a later "
                               "--incremental-since. Of qcow2 disks of a running guest, with qcow2 "
                               "images that are not compressed."},
    [INVOCATION_SINCE] = {"incremental-since", "NAME",
                          "Only what was written since this checkpoint: a qcow2 image whose "
                          "backing file is the image that the checkpoint was made with."},
    [INVOCATION_CHAIN_VERIFY] = {"chain-verify", NULL,
                                 "Makes nothing: checks the image at --output and all those it "
                                 "stands on; with --all-disks each <disk>.qcow2 and <disk>.raw of "
                                 "that folder. DOMAIN is not looked at, and need not be there."},
    [INVOCATION_TREE] = {"tree", NULL, "Each below the one it was made after, with its files."},
    [INVOCATION_ALL] = {"all", NULL, "All domains that an earlier command has left something of."},
    [INVOCATION_MANAGED] = {"managed", NULL,
                            "libvirt keeps the memory, and the next start of the domain, whoever "
                            "asks for it, goes on from there."},
    [INVOCATION_RUNNING] =
        {"running", NULL,
         "The guest runs afterwards, of domain save when it is restored, however it was."},
    [INVOCATION_PAUSED] =
        {"paused", NULL,
         "The guest is paused afterwards, of domain save when it is restored, however it was."},
    [INVOCATION_VERIFY_DISKS] = {"verify-disks", NULL,
                                 "By a SHA-256 of each disk as well, which is read for it."},
    [INVOCATION_FORCE_RESTORE] =
        {"force", NULL,
         "Also onto disks that have changed, or of which nothing is known: what "
         "the guest still has in memory of them may destroy them."},
    [INVOCATION_FORCE_REVERT] =
        {"force", NULL,
         "Also a server of nova's, which nova may not be able to start afterwards; a guest that "
         "was saved to a file; and once more to an internal checkpoint where libvirt is not known "
         "to have come to the end of the way to it."},
    [INVOCATION_DISCARD] = {"discard", NULL,
                            "What is now is not kept: its checkpoint is deleted when the domain is "
                            "where it was to go; to an internal one none is made."},
    [INVOCATION_FORCE_CHECKPOINT] =
        {"force", NULL,
         "Also of a server of nova's, which nova cannot start while its disks are in layers, or "
         "starts on what is below them; of a guest that was saved to a file; of a transient "
         "domain, and of disks that the running guest alone has: their next start does not know of "
         "the layers; and where domain revert cannot go back, or nothing merges the layers, which "
         "is told."},
    [INVOCATION_FORCE_DELETE] = {"force", NULL,
                                 "Also of a guest that was saved to a file, which is of no use "
                                 "afterwards."},
    [INVOCATION_CONNECT] = {"connect", "URI", "libvirt's URI, qemu:///system unless it is given."},
    [INVOCATION_STATE_DIR] = {"state-dir", "FOLDER",
                              "Where is written down what is done, /var/lib/nova-snapshot unless "
                              "it is given."},
    [INVOCATION_NAME] = {"name", "NAME",
                         "What it is called, in 200 bytes at most; the time, unless it is given."},
    [INVOCATION_DISK_ONLY] = {"disk-only", NULL, "Without the memory of a guest that has any."},
    [INVOCATION_MEMORY] = {"memory", NULL,
                           "With memory, which it is of a guest that runs; fails where there is "
                           "none."},
    [INVOCATION_INTERNAL] =
        {"internal", NULL,
         "Inside the disks' own files, which are to be qcow2: of a domain that "
         "runs with its memory, of a stopped one without. Takes no --disk, --memory-file or "
         "--live, and no number for a name, which QEMU takes for an ID."},
    [INVOCATION_LIVE] = {"live", NULL,
                         "The guest runs on while its memory is written, and stands still for the "
                         "rest of it alone. It takes longer."},
    [INVOCATION_HALT] = {"halt", NULL, "The guest is ended at that instant."},
    [INVOCATION_DISK_FILE] = {"disk", "TARGET=FILE",
                              "The file the guest writes to from then on, as vda=/srv/web.vda; "
                              "<disk>.<name> unless it is given. As often as there are disks."},
    [INVOCATION_MEMORY_FILE] = {"memory-file", "FILE",
                                "Where memory is kept; <first disk>.<name>.memory unless it is "
                                "given."},
    [INVOCATION_CHILDREN] = {"children", NULL,
                             "And all that were made after it, the newest first."},
    [INVOCATION_MERGED_FILE] = {"disk", "TARGET=FILE",
                                "The layer, by all of its path, that all above it go into. As "
                                "often as there are disks."},
};

const char command_letters[INVOCATION_OPTIONS] = {[INVOCATION_OUTPUT] = 'o'};

const struct command command_table[] = {
    {.name = "status",
     .summary = "Shows how the agent is.",
     .more = "Whether it takes requests, whether this host can take snapshots and why not, slots, "
             "limits, and what is under way; with --json \"jobs\" is that of the command jobs.",
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
             "on until it is interrupted, also while the agent is restarted: nobody may answer for "
             "30 s.",
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
             "afterwards; what QEMU copies (blockrebase, blockcopy) follows both within seconds, "
             "what qemu-img reads keeps what it began with. All are those of the configuration "
             "again after the next start, or when it is read again. With a job --upload and --disk "
             "limit that one alone, where its disk is streamed or copied by QEMU; with a job and "
             "no limit its own are shown.",
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
    {.name = "domain image",
     .argument = "DOMAIN",
     .summary = "Makes an image of a domain's disk.",
     .more = "Of any domain of this host's libvirt, by its name or uuid, without the agent and as "
             "root. The guest runs on, and is as it was however this ends; what a killed command "
             "has left is undone by the next one on the domain, or by domain recover. The image is "
             "read back and "
             "compared with what was written by SHA-256, and checked by qemu-img; what goes to "
             "standard output is not.",
     .run = domain_image,
     .options = {INVOCATION_OUTPUT, INVOCATION_DOMAIN_DISK, INVOCATION_ALL_DISKS, INVOCATION_FORMAT,
                 INVOCATION_COMPRESS, INVOCATION_METHOD, INVOCATION_QUIESCE, INVOCATION_CHECKPOINT,
                 INVOCATION_SINCE, INVOCATION_CHAIN_VERIFY, INVOCATION_CONNECT,
                 INVOCATION_STATE_DIR},
     .n_options = 12},
    {.name = "domain checkpoint",
     .argument = "DOMAIN",
     .summary = "Makes a point that one may go back to.",
     .more =
         "A snapshot of libvirt's, of all writable disks at one instant and, of a guest that runs "
         "or is paused, its memory. External unless it is told otherwise: the disks' files stay as "
         "they are, and the guest writes to new ones on top of them. No file is overwritten. How "
         "long the guest stood still is told, by libvirt's events. What cannot work is said before "
         "anything is touched: a disk that is not qcow2 or UEFI with --internal, a device of the "
         "host's or a TPM with memory, a job under way, a network disk. So is what domain revert "
         "could never go back to, or nothing merges again, unless it is --force: UEFI's variables, "
         "a TPM, disks that are shared, marked snapshot='no', on a device, transient, encrypted, "
         "neither qcow2 nor raw, or called by a link. What is not in it is told. An external one "
         "of a server of nova's is made with --force alone: nova's start, hard reboot, and start "
         "with the host would put its disks below what was written since. When the command is "
         "killed libvirt goes on; domain recover tells whether it was made, and removes the files "
         "if it was not. One that the guest writes to, and libvirt, which has died meanwhile, does "
         "not know of, stays: commands on the domain are refused, and tell what to do, until it is "
         "the disk's file.",
     .run = domain_checkpoint,
     .options = {INVOCATION_NAME, INVOCATION_DISK_ONLY, INVOCATION_MEMORY, INVOCATION_INTERNAL,
                 INVOCATION_LIVE, INVOCATION_HALT, INVOCATION_QUIESCE, INVOCATION_DISK_FILE,
                 INVOCATION_MEMORY_FILE, INVOCATION_FORCE_CHECKPOINT, INVOCATION_CONNECT,
                 INVOCATION_STATE_DIR},
     .n_options = 12},
    {.name = "domain checkpoints",
     .argument = "DOMAIN",
     .summary = "Lists the points of its past a domain has.",
     .more =
         "Snapshots of libvirt's, the current one with a star, and the checkpoints increments are "
         "made since: what its files take on disk, with --tree each of them, and which have gone; "
         "and what "
         "one would find who went back there: a guest with memory, disks of a guest at rest, or of "
         "one "
         "whose filesystems were frozen, or disks as after a power cut. The last row, (now), is "
         "what the guest writes to, with what that takes, also where a way back has made it. What "
         "an internal one takes within its disks' files is not known. Changes nothing.",
     .run = domain_checkpoints,
     .options = {INVOCATION_TREE, INVOCATION_CONNECT},
     .n_options = 2},
    {.name = "domain revert",
     .argument = "DOMAIN",
     .second = "NAME",
     .summary = "Takes a domain back to one of its checkpoints.",
     .more =
         "Its disks, its definition and, if the checkpoint has it, the guest's memory are those of "
         "that instant; without memory it is stopped afterwards unless told otherwise. The domain "
         "as it is now is kept by a checkpoint of its own, left-<time>, which one may go back to "
         "in turn. To an external checkpoint the disks go on in new files <disk>.<NAME>-<time>; "
         "with --discard left-<time> is deleted at the end, as domain delete-checkpoint does, and "
         "it is there, whole, until then. To an internal one left-<time> is internal, too; with "
         "--discard it is not made, and what was written since is lost at once. A server of nova's "
         "goes back to an "
         "external one with --force alone: its disks "
         "would be in files that nova does not know of. It is refused before anything is touched "
         "where a file of the checkpoint has gone "
         "or was written to since, a layer was merged, a disk was attached or detached, or a part "
         "of the guest is in no checkpoint (UEFI's variables, a TPM). Killed in the middle, domain "
         "recover ends with the domain as it was or at the checkpoint; where the guest went on "
         "meanwhile, it stays as it is.",
     .run = domain_revert,
     .options = {INVOCATION_RUNNING, INVOCATION_PAUSED, INVOCATION_DISCARD, INVOCATION_FORCE_REVERT,
                 INVOCATION_CONNECT, INVOCATION_STATE_DIR},
     .n_options = 6},
    {.name = "domain delete-checkpoint",
     .argument = "DOMAIN",
     .second = "NAME",
     .summary = "Deletes a point, and keeps all that the guest goes on from.",
     .more =
         "Of an external one the layer that was put on top goes down into the file that kept the "
         "instant, by a block commit while the guest runs or is paused, else by qemu-img; then "
         "libvirt's snapshot goes, with the memory's file and the layer's. Other checkpoints stay "
         "what they are. What is inside the disks' files is deleted by libvirt. One that the guest "
         "does not go on from, as left-<time> of domain revert, goes with all that only it needs, "
         "if none was made after it: its layers down to what another one keeps, and its memory. "
         "Then the one that was gone back to can be deleted. Refused before "
         "anything is touched: files that another checkpoint, a branch or another domain needs as "
         "they are, a layer with what no checkpoint keeps, snapshots or bitmaps inside a "
         "layer, layers that libvirt and the files' headers tell differently of, a disk resized "
         "since, links, data in further files, encryption, a job under way, a saved guest, too "
         "little room, a guest that was saved to a file which is still there and was not restored. "
         "Killed or interrupted in the middle, the guest has all it wrote, and the next command on "
         "the domain goes on with it, or domain recover, which nova-snapshot-domain-recover.timer "
         "starts within a minute; until then start a server of nova's by no hard reboot. A file "
         "that may have more than the one it was merged into stays, as where the guest is "
         "not known to be the one that was merged. Of a server of nova's is told whether its disks "
         "are nova's own files again.",
     .run = domain_delete_checkpoint,
     .options = {INVOCATION_CHILDREN, INVOCATION_FORCE_DELETE, INVOCATION_CONNECT,
                 INVOCATION_STATE_DIR},
     .n_options = 4},
    {.name = "domain flatten",
     .argument = "DOMAIN",
     .summary = "Merges the layers of a domain's disks into the original file.",
     .more =
         "As domain delete-checkpoint does, for layers that no checkpoint is left of: refused as "
         "long as one names them. Without --disk, of a server of nova's: each disk is the lowest "
         "file in the instance's folder again, on nova's own base image, as nova's start, hard "
         "reboot and all else need it; whether that is so is told.",
     .run = domain_flatten,
     .options = {INVOCATION_MERGED_FILE, INVOCATION_FORCE_DELETE, INVOCATION_CONNECT,
                 INVOCATION_STATE_DIR},
     .n_options = 4},
    {.name = "domain save",
     .argument = "DOMAIN",
     .summary = "Saves a guest's memory to a file and stops it.",
     .more =
         "Without --managed to the file at --output, which is never overwritten. Beside it, in "
         "FILE.disks, is written what tells later whether a disk has changed. A save that fails "
         "or is interrupted while the memory is written leaves the guest as it was; after kill "
         "-9 domain recover ends with a guest that runs, or one that is saved; a guest that is not "
         "known to be that one is left as it is. While FILE is there and the guest has not "
         "gone on, domain checkpoint, revert, delete-checkpoint and flatten refuse the domain: "
         "FILE "
         "goes on with its disks as they are alone.",
     .run = domain_save,
     .options = {INVOCATION_OUTPUT, INVOCATION_MANAGED, INVOCATION_RUNNING, INVOCATION_PAUSED,
                 INVOCATION_VERIFY_DISKS, INVOCATION_CONNECT, INVOCATION_STATE_DIR},
     .n_options = 7},
    {.name = "domain restore",
     .argument = "FILE|DOMAIN",
     .summary = "Lets a saved guest go on.",
     .more =
         "From a file, or a domain from what libvirt keeps of it; it is a file if there is one "
         "of the name. Refused when a disk has changed since, or nothing tells whether it has, "
         "also while others were read for --verify-disks. The file stays. Killed in the middle, "
         "domain recover lets a guest run that was to.",
     .run = domain_restore,
     .options = {INVOCATION_RUNNING, INVOCATION_PAUSED, INVOCATION_VERIFY_DISKS,
                 INVOCATION_FORCE_RESTORE, INVOCATION_CONNECT, INVOCATION_STATE_DIR},
     .n_options = 6},
    {.name = "domain recover",
     .argument = "[DOMAIN]",
     .summary = "Undoes what a killed command has left.",
     .more =
         "Of a domain by its name or uuid, or of all: a guest that is frozen, saved or without its "
         "definition is brought back, a job is ended, files go. For each is told whether there was "
         "something to undo, and how it ended. One that a command is at work on is left to it. "
         "nova-snapshot-domain-recover.timer starts it with --all each minute in which there is "
         "something to undo.",
     .run = domain_recover,
     .options = {INVOCATION_ALL, INVOCATION_CONNECT, INVOCATION_STATE_DIR},
     .n_options = 3},
    {.name = NULL},
};

static const struct command *find_name(const char *name)
{
    for (const struct command *command = command_table; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

const struct command *command_find(int n, char *const *words, int *ret_used)
{
    char two[64];
    const struct command *command = NULL;
    if (n > 1 && (size_t)snprintf(two, sizeof(two), "%s %s", words[0], words[1]) < sizeof(two))
        command = find_name(two);
    *ret_used = command ? 2 : 1;
    return command || n == 0 ? command : find_name(words[0]);
}

bool command_takes(const struct command *command, enum invocation_option option)
{
    for (unsigned i = 0; i < command->n_options; i++)
        if (command->options[i] == option)
            return true;
    return option == INVOCATION_JSON ||
           (option == INVOCATION_SOCKET && strncmp(command->name, "domain ", 7) != 0);
}
