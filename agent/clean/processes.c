/* SPDX-License-Identifier: Apache-2.0 */
/* See processes.h. */
#include "agent/clean/processes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/folder.h"

#define LINE_MAX_BYTES 4096
/* PROC_PID_INIT_INO of the kernel: the namespace in which all processes are seen. */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCu

/* The file's text, which is all that fits. False when it cannot be read. */
static bool read_proc(int proc, const char *pid, const char *name, char *text, size_t size,
                      size_t *ret_length)
{
    char path[NAME_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/%s", pid, name);
    cleanup_close int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    *ret_length = (size_t)n;
    return true;
}

static const char *name_of(const char *word)
{
    const char *slash = strrchr(word, '/');
    return slash ? slash + 1 : word;
}

/* Also of one that has renamed itself, "nova-compute: worker", or a module of Python's. */
static bool is_nova_compute(const char *word)
{
    static const char program[] = "nova-compute";
    const char *name = name_of(word);
    size_t n = sizeof(program) - 1;
    return strcmp(name, "nova.cmd.compute") == 0 ||
           (strncmp(name, program, n) == 0 && strchr(": ", name[n])); /* or its end */
}

/* "python3.11", "python3 -m" */
static bool is_interpreter(const char *word)
{
    return strncmp(name_of(word), "python", strlen("python")) == 0;
}

enum clean_process_kind clean_processes_kind(const char *line, size_t length)
{
    bool may_be_program = true, interpreted = false;
    enum clean_process_kind kind = CLEAN_PROCESS_OTHER;
    for (const char *word = line; word < line + length; word += strlen(word) + 1) {
        if (is_nova_compute(word))
            kind = may_be_program ? CLEAN_PROCESS_IS : CLEAN_PROCESS_NAMED;
        if (kind == CLEAN_PROCESS_IS)
            break;
        interpreted = interpreted || (word == line && is_interpreter(word));
        may_be_program = interpreted && (word == line || word[0] == '-') && may_be_program;
    }
    return kind;
}

/* Whether the process has the same folder there; where it may not be looked at it has. */
static bool has_folder(int proc, const char *pid, const char *folder)
{
    char path[NAME_MAX + 16];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    struct stat its, ours;
    (void)snprintf(path, sizeof(path), "%s/root", pid);
    cleanup_close int root = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd =
        root < 0 ? -1 : (int)syscall(SYS_openat2, root, folder, &how, sizeof(how));
    if (root < 0)
        return errno == EACCES || errno == EPERM;
    return fd >= 0 && fstat(fd, &its) == 0 && stat(folder, &ours) == 0 &&
           its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

/* When it began, of clock_now_ms(). 0 when that cannot be read. Source: proc(5). */
static uint64_t began_at_ms(int proc, const char *pid)
{
    char text[1024];
    size_t length;
    unsigned long long ticks = 0;
    const char *rest =
        read_proc(proc, pid, "stat", text, sizeof(text), &length) ? strrchr(text, ')') : NULL;
    if (!rest || sscanf(rest,
                        ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                        "%*s %llu",
                        &ticks) != 1)
        return 0;
    return ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* Whether /proc shows all processes of the machine. */
static bool sees_all(int proc)
{
    struct stat namespace;
    return fstatat(proc, "self/ns/pid", &namespace, 0) == 0 &&
           namespace.st_ino == INITIAL_PID_NAMESPACE && faccessat(proc, "1", F_OK, 0) == 0;
}

/* False when it cannot be told what the process is. */
static bool look_at(int proc, const char *pid, const char *instances_path,
                    struct clean_process *found)
{
    char line[LINE_MAX_BYTES];
    size_t length;
    if (!read_proc(proc, pid, "cmdline", line, sizeof(line), &length))
        return errno == ENOENT || errno == ESRCH; /* it has ended */
    enum clean_process_kind kind = clean_processes_kind(line, length);
    if (kind == CLEAN_PROCESS_OTHER)
        return true;
    uint64_t since_ms = began_at_ms(proc, pid);
    if (since_ms == 0)
        return faccessat(proc, pid, F_OK, 0) < 0;
    found->seen =
        found->seen || (kind == CLEAN_PROCESS_IS && has_folder(proc, pid, instances_path));
    if (found->pid == 0 || since_ms < found->since_ms) {
        found->pid = (pid_t)strtol(pid, NULL, 10);
        found->since_ms = since_ms;
    }
    return true;
}

struct clean_process clean_processes_nova_compute(const char *instances_path)
{
    struct clean_process found = {.seen = false};
    time_t now = time(NULL); /* before the scan: what begins meanwhile is no older than it is */
    uint64_t now_ms = clock_now_ms();
    DIR *folder = opendir("/proc");
    if (!folder)
        return found;
    bool all = sees_all(dirfd(folder));
    const struct dirent *entry = NULL;
    while (all && (all = folder_next(folder, &entry) == 0) && entry)
        if (isdigit((unsigned char)entry->d_name[0]) && strtol(entry->d_name, NULL, 10) != getpid())
            all = look_at(dirfd(folder), entry->d_name, instances_path, &found);
    (void)closedir(folder);
    found.seen = found.seen && all;
    found.since =
        now - (time_t)((now_ms > found.since_ms ? now_ms - found.since_ms : 0) / 1000 + 1);
    return found;
}
