/* SPDX-License-Identifier: Apache-2.0 */
/* See qemu_process.h. */
#include "driver/libvirt/qemu_process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/process.h"
#include "driver/driver.h"

#define DEADLINE_MS 10000
#define OUTPUT_MAX_BYTES 4096

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
