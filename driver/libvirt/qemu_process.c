/* SPDX-License-Identifier: Apache-2.0 */
/* See qemu_process.h. */
#include "driver/libvirt/qemu_process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/id.h"
#include "common/log.h"
#include "common/process.h"
#include "driver/driver.h"

#define DEADLINE_MS 10000
#define OUTPUT_MAX_BYTES 4096
#define COMMAND_LINE_MAX_BYTES (1 << 20)

static int read_pid(const char *pid_directory, const char *name, int *ret_pid, struct error *err)
{
    char path[DRIVER_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s.pid", pid_directory, name);
    cleanup_fclose FILE *file = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "re") : NULL;
    if (!file || fscanf(file, "%d", ret_pid) != 1 || *ret_pid <= 1)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "the process of QEMU is not known (%s)",
                         path);
    return 0;
}

/* It is run with our rights, so only root may have put it there. */
static int check_emulator(const char *emulator, struct error *err)
{
    struct stat st;
    if (stat(emulator, &st) < 0)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "%s is not installed any more", emulator);
    if (emulator[0] != '/' || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "%s may be written by others than root",
                         emulator);
    return 0;
}

static int ask_version(const char *emulator, unsigned *ret_version, struct error *err)
{
    const char *const argv[] = {emulator, "--version", NULL};
    const struct process_options options = {
        .argv = argv, .deadline_ms = DEADLINE_MS, .output_max_bytes = OUTPUT_MAX_BYTES};
    cleanup_free char *text = NULL;
    size_t size = 0;
    unsigned major = 0, minor = 0, micro = 0;
    int r = process_run(&options, &text, &size, err);
    if (r < 0)
        return r;
    if (sscanf(text, "QEMU emulator version %3u.%3u.%3u", &major, &minor, &micro) != 3)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "%s tells no version", emulator);
    *ret_version = QEMU_VERSION(major, minor, micro);
    return 0;
}

/* A replaced file has another inode; the process still executes the old one. */
static int check_is_running(int pid, const char *emulator, struct error *err)
{
    struct stat installed, running;
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/exe", pid);
    if (stat(path, &running) < 0)
        return error_errno(err, errno, "cannot look at the process %d of QEMU", pid);
    if (stat(emulator, &installed) < 0 || running.st_dev != installed.st_dev ||
        running.st_ino != installed.st_ino)
        return error_set(err, EIO, EXC_INTERNAL_ERROR,
                         "QEMU has been installed anew since the guest was started");
    return 0;
}

/* The version is asked first: a file that is the running one afterwards was it then, too. */
int qemu_process_version(const char *pid_directory, const char *name, const char *emulator,
                         unsigned *ret_version, struct error *err)
{
    unsigned version = 0;
    int pid = 0;
    if (read_pid(pid_directory, name, &pid, err) < 0 || check_emulator(emulator, err) < 0 ||
        ask_version(emulator, &version, err) < 0 || check_is_running(pid, emulator, err) < 0)
        return -err->errnum;
    log_debug("QEMU process %d: %s, version %u", pid, emulator, version);
    *ret_version = version;
    return 0;
}

/* proc(5), /proc/PID/stat: field 22, in ticks since the boot; a program's name may hold anything.
 */
static int read_start(int pid, unsigned long long *ret_ticks)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    cleanup_fclose FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[n] = '\0';
    const char *behind_name = strrchr(text, ')');
    return behind_name && sscanf(behind_name + 1,
                                 " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                                 "%*d %*d %*d %llu",
                                 ret_ticks) == 1
               ? 0
               : -1;
}

int qemu_process_mark(int pid, char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *err)
{
    char boot_id[ID_UUID_SIZE];
    unsigned long long ticks = 0;
    int r = id_read_boot(boot_id, err);
    if (r < 0)
        return r;
    if (read_start(pid, &ticks) < 0)
        return error_set(err, EIO, EXC_INTERNAL_ERROR, "process %d is not shown", pid);
    (void)snprintf(ret_mark, QEMU_PROCESS_MARK_SIZE, "%s %d %llu", boot_id, pid, ticks);
    return 0;
}

/* libvirt: src/qemu/qemu_command.c, "-uuid" is an argument of every guest's. */
static bool has_uuid(const char *arguments, size_t size, const char *uuid)
{
    bool is_next = false;
    for (size_t i = 0; i < size; i += strlen(arguments + i) + 1) {
        if (is_next && strcmp(arguments + i, uuid) == 0)
            return true;
        is_next = strcmp(arguments + i, "-uuid") == 0;
    }
    return false;
}

static bool is_of_guest(int pid, const char *uuid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    cleanup_fclose FILE *file = fopen(path, "re");
    cleanup_free char *arguments = file ? malloc(COMMAND_LINE_MAX_BYTES + 1) : NULL;
    size_t n = arguments ? fread(arguments, 1, COMMAND_LINE_MAX_BYTES, file) : 0;
    if (arguments)
        arguments[n] = '\0';
    return arguments && has_uuid(arguments, n, uuid);
}

int qemu_process_mark_of(const char *pid_directory, const char *name, const char *uuid,
                         char ret_mark[static QEMU_PROCESS_MARK_SIZE], struct error *err)
{
    int pid = 0, r = read_pid(pid_directory, name, &pid, err);
    if (r == 0)
        r = qemu_process_mark(pid, ret_mark, err);
    return r < 0 || is_of_guest(pid, uuid)
               ? r
               : error_set(err, EIO, EXC_INTERNAL_ERROR, "process %d is not QEMU of %s", pid, name);
}

/* GLib's g_get_user_runtime_dir(), as libvirt's own session. */
static int name_of_session(char ret_path[static PATH_MAX], struct error *err)
{
    const char *folder = getenv("XDG_RUNTIME_DIR"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME"), *below = "";
    if (!folder || folder[0] == '\0')
        folder = cache;
    if (!folder || folder[0] == '\0') {
        folder = home;
        below = "/.cache";
    }
    int n = snprintf(ret_path, PATH_MAX, "%s%s/libvirt/qemu/run", folder ? folder : "", below);
    return n < PATH_MAX ? 0
                        : error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR,
                                    "where libvirt's session keeps its processes");
}

/* Without a host, which would be another one. */
static bool is_local(const char *uri, const char *path)
{
    static const char *const ways[] = {"qemu:///", "qemu+unix:///"};
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        size_t length = strlen(ways[i]);
        if (strncmp(uri, ways[i], length) == 0 && strncmp(uri + length, path, strlen(path)) == 0 &&
            strchr("?", uri[length + strlen(path)]))
            return true;
    }
    return false;
}

int qemu_process_directory(const char *uri, char ret_path[static PATH_MAX], struct error *err)
{
    if (is_local(uri, "session"))
        return name_of_session(ret_path, err);
    if (!is_local(uri, "system"))
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR,
                         "where %s keeps its processes is not known", uri);
    (void)snprintf(ret_path, PATH_MAX, "%s", QEMU_PID_DIRECTORY);
    return 0;
}
