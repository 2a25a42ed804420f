/* SPDX-License-Identifier: Apache-2.0 */
/* See clean_processes.h. */
#include "agent/clean_processes.h"

#include <ctype.h>
#include <dirent.h>
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

#include "agent/thaw_left.h"
#include "common/cleanup.h"
#include "common/clock.h"

#define ARGUMENTS_MAX 32
#define WORDS_MAX 4 /* of a command line: an interpreter with its options, and the program */
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

/* Whether one of the first words is the program, also as one that has renamed itself, "NAME:
 * worker", or a module of Python's. */
static bool is_program(const char *program, const char *module, const char *line, size_t length)
{
    const char *word = line;
    size_t n = strlen(program);
    for (unsigned i = 0; i < WORDS_MAX && word < line + length; i++, word += strlen(word) + 1) {
        const char *slash = strrchr(word, '/');
        const char *name = slash ? slash + 1 : word;
        if ((module && strcmp(name, module) == 0) ||
            (strncmp(name, program, n) == 0 && strchr(": ", name[n]))) /* or its end */
            return true;
    }
    return false;
}

bool clean_processes_is_nova_compute(const char *line, size_t length)
{
    return is_program("nova-compute", "nova.cmd.compute", line, length);
}

static bool is_nova_compute(char *line, size_t length)
{
    return clean_processes_is_nova_compute(line, length);
}

/* Not its watchdog, which thaws after its end, and whose first words are the same. */
static bool is_agent(char *line, size_t length)
{
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    for (char *word = line; argc < ARGUMENTS_MAX && word < line + length; word += strlen(word) + 1)
        argv[argc++] = word;
    return is_program("nova-snapshot-agent", NULL, line, length) && !thaw_left_is_asked(argc, argv);
}

/* Whether the process has the same folder there. In doubt it has. */
static bool has_folder(int proc, const char *pid, const char *folder)
{
    char path[NAME_MAX + 16];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    struct stat its, ours;
    (void)snprintf(path, sizeof(path), "%s/root", pid);
    cleanup_close int root = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int fd =
        root < 0 ? -1 : (int)syscall(SYS_openat2, root, folder, &how, sizeof(how));
    if (root < 0 || fd < 0)
        return root < 0 || (errno != ENOENT && errno != ENOTDIR);
    return fstat(fd, &its) < 0 || stat(folder, &ours) < 0 ||
           (its.st_dev == ours.st_dev && its.st_ino == ours.st_ino);
}

/* When it began, by the clock of files. 0 when it has ended. Source: proc(5). */
static time_t began_at(int proc, const char *pid)
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
    uint64_t begun_ms = ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
    return time(NULL) - (time_t)((clock_now_ms() - begun_ms + 999) / 1000);
}

/* Whether /proc shows all processes of the machine. */
static bool sees_all(int proc)
{
    struct stat namespace;
    return fstatat(proc, "self/ns/pid", &namespace, 0) == 0 &&
           namespace.st_ino == INITIAL_PID_NAMESPACE && faccessat(proc, "1", F_OK, 0) == 0;
}

static struct clean_process look_for(bool (*is_it)(char *line, size_t length),
                                     const char *instances_path)
{
    struct clean_process found = {CLEAN_PROCESS_UNKNOWN, 0};
    DIR *folder = opendir("/proc");
    if (!folder)
        return found;
    int proc = dirfd(folder);
    bool all = sees_all(proc);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        char line[4096];
        size_t length;
        if (!isdigit((unsigned char)entry->d_name[0]) ||
            strtol(entry->d_name, NULL, 10) == getpid())
            continue;
        if (!read_proc(proc, entry->d_name, "cmdline", line, sizeof(line), &length)) {
            all = all && (errno == ENOENT || errno == ESRCH); /* it has ended */
            continue;
        }
        bool is_ours = is_it(line, length) && has_folder(proc, entry->d_name, instances_path);
        time_t since = is_ours ? began_at(proc, entry->d_name) : 0;
        if (since != 0 && (found.state != CLEAN_PROCESS_RUNS || since < found.since))
            found = (struct clean_process){CLEAN_PROCESS_RUNS, since};
    }
    (void)closedir(folder);
    if (found.state == CLEAN_PROCESS_UNKNOWN && all)
        found = (struct clean_process){CLEAN_PROCESS_NONE, time(NULL)};
    return found;
}

struct clean_process clean_processes_nova_compute(const char *instances_path)
{
    return look_for(is_nova_compute, instances_path);
}

struct clean_process clean_processes_other_agent(const char *instances_path)
{
    return look_for(is_agent, instances_path);
}

bool clean_processes_is_before(const struct clean_process *process, time_t time, unsigned skew_s)
{
    return process->state != CLEAN_PROCESS_UNKNOWN && time + (time_t)skew_s < process->since;
}
