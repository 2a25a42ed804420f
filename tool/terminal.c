/* SPDX-License-Identifier: Apache-2.0 */
/* See terminal.h. */
#include "tool/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS 100
#define ROWS 24

/* One without a name, as under a program that reads what is written, knows no commands. */
static bool is_dumb(void)
{
    const char *name = getenv("TERM");
    return !name || name[0] == '\0' || strcmp(name, "dumb") == 0;
}

/* The last column stays free: some terminals go to the next line behind it. */
struct terminal terminal_look(int fd)
{
    struct terminal terminal = {
        .goes_back = isatty(fd) == 1 && !is_dumb(), .columns = COLUMNS, .rows = ROWS};
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) < 0)
        return terminal;
    if (size.ws_col > 1)
        terminal.columns = size.ws_col - 1U;
    if (size.ws_row > 0)
        terminal.rows = size.ws_row;
    return terminal;
}
