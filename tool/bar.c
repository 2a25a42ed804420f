/* SPDX-License-Identifier: Apache-2.0 */
/* See bar.h. */
#include "tool/bar.h"

#include <string.h>
#include <sys/ioctl.h>

#define BAR_MIN 10
#define BAR_MAX 512
#define COLUMNS 100

void bar_write(const struct bar *bar, unsigned columns, FILE *out)
{
    char text[BAR_MAX];
    size_t others = strlen(bar->before) + strlen(bar->behind) + 4;
    size_t width = columns > others + BAR_MIN ? columns - others : BAR_MIN;
    if (width > sizeof(text) - 1)
        width = sizeof(text) - 1;
    memset(text, '.', width);
    memset(text, '#', width * bar->percent / 100);
    text[width] = '\0';
    (void)fprintf(out, "%s [%s] %s", bar->before, text, bar->behind);
}

unsigned bar_columns(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col - 1U : COLUMNS;
}
