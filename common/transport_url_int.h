/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of transport_url.h share. */
#pragma once

#include <stddef.h>

#include "common/transport_url.h"

/* "user:password@host:port,...", "" = guest at localhost, into url->hosts. `length` in bytes. */
int transport_url_hosts_parse(const char *text, size_t length, struct transport_url *url,
                              struct error *err);
