/* SPDX-License-Identifier: Apache-2.0 */
/* See failpoint.h. */
#include "common/failpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"

#define HOLD_MAX_MS 120000
#define HOLD_STEP_MS 20
#define LINE_MAX_BYTES 128

static char failpoint_path[PATH_MAX];
static char reached_path[PATH_MAX];

void failpoint_init(const char *state_dir)
{
    int n = snprintf(failpoint_path, sizeof(failpoint_path), "%s/failpoint", state_dir);
    int m = snprintf(reached_path, sizeof(reached_path), "%s/failpoint.reached", state_dir);
    if (n < 0 || m < 0 || (size_t)m >= sizeof(reached_path))
        failpoint_path[0] = '\0';
}

static bool is_roots_alone(const struct stat *st)
{
    return st->st_uid == 0 && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool folder_is_roots_alone(void)
{
    char folder[PATH_MAX];
    struct stat st;
    memcpy(folder, failpoint_path, sizeof(folder));
    *strrchr(folder, '/') = '\0';
    return stat(folder, &st) == 0 && is_roots_alone(&st);
}

/* The line of the file, without its end. False when nothing is armed. */
static bool read_line(char line[static LINE_MAX_BYTES])
{
    struct stat st;
    cleanup_close int fd = open(failpoint_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !is_roots_alone(&st) ||
        !folder_is_roots_alone())
        return false;
    ssize_t n = read(fd, line, LINE_MAX_BYTES - 1);
    line[n > 0 ? n : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return true;
}

static void hold_here(void)
{
    const struct timespec step = {.tv_nsec = HOLD_STEP_MS * 1000000L};
    int fd = open(reached_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)close(fd);
    for (unsigned ms = 0; ms < HOLD_MAX_MS && access(failpoint_path, F_OK) == 0; ms += HOLD_STEP_MS)
        (void)nanosleep(&step, NULL);
    (void)unlink(reached_path);
}

static void obey_line(const char *point, const char *action)
{
    log_warning("failpoint %s: %s", point, action);
    if (strcmp(action, "hold") == 0) {
        hold_here();
    } else if (strcmp(action, "kill") == 0) {
        (void)unlink(failpoint_path);
        (void)kill(getpid(), SIGKILL);
    }
}

void failpoint_pass(const char *point, const struct log_place *place)
{
    char line[LINE_MAX_BYTES];
    int saved_errno = errno;
    size_t length = strlen(point);
    log_write(LOG_LEVEL_DEBUG, place, "failpoint %s", point);
    if (failpoint_path[0] != '\0' && access(failpoint_path, F_OK) == 0 && read_line(line) &&
        strncmp(line, point, length) == 0 && line[length] == ' ')
        obey_line(point, line + length + 1);
    errno = saved_errno;
}
