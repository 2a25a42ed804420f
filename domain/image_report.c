/* SPDX-License-Identifier: Apache-2.0 */
/* See image_report.h. */
#include "domain/image_report.h"

#include <stdlib.h>
#include <time.h>

void image_report_set_instant(struct image_report *report)
{
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        (void)strftime(report->instant, sizeof(report->instant), "%Y-%m-%dT%H:%M:%SZ", &utc);
}

void image_report_done(struct image_report *report)
{
    free(report->files);
    *report = (struct image_report){0};
}
