/* SPDX-License-Identifier: Apache-2.0 */
/* See bar.h. */
#include "tool/bar.h"

#include <string.h>

#define BAR_MIN 10
#define BAR_MAX 512
#define LINE_MAX_CHARS 2048

void bar_write(const struct bar *bar, unsigned columns, FILE *out)
{
    char text[BAR_MAX], line[LINE_MAX_CHARS];
    size_t others = strlen(bar->before) + strlen(bar->behind) + 4;
    size_t width = columns > others + BAR_MIN ? columns - others : BAR_MIN;
    if (width > sizeof(text) - 1)
        width = sizeof(text) - 1;
    memset(text, '.', width);
    memset(text, '#', width * bar->percent / 100);
    text[width] = '\0';
    (void)snprintf(line, sizeof(line), "%s [%s] %s", bar->before, text, bar->behind);
    (void)fprintf(out, "%.*s", (int)columns, line);
}
