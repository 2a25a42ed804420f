/* SPDX-License-Identifier: Apache-2.0 */
/* Deep copies of what bus_new() was given. */
#pragma once

#include "amqp/bus_int.h"

/* Checks and copies; warns about notification drivers that do nothing here. EINVAL. */
int bus_settings_init(struct bus_settings *settings, const struct bus_options *options,
                      struct error *err);

/* Also for settings that bus_settings_init() left half done, or zeroed ones. */
void bus_settings_clear(struct bus_settings *settings);
