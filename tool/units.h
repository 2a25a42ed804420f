/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people read them. */
#pragma once

#include <stdint.h>

struct units_text {
    char text[32];
};

/* "12 B", "1.5 GiB" */
struct units_text units_bytes(uint64_t bytes);

/* "1.5 MiB/s" */
struct units_text units_rate(uint64_t bytes_per_s);

/* "7 s", "1:05", "2:03:59"; a negative one is not known: "-". */
struct units_text units_time(double seconds);

/* A limit: "50 MiB/s", or "none" for 0. */
struct units_text units_limit(int64_t mib);
