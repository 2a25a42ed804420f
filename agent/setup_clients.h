/* SPDX-License-Identifier: Apache-2.0 */
/* Makes what the agent works with: Keystone, Glance, Cinder, the hypervisor, RabbitMQ. */
#pragma once

#include "common/error.h"

struct agent;
struct conf;

/*
 * Makes them out of the configuration (borrowed as long as they live); connects nothing. What was
 * made before a failure is left in the agent.
 */
int setup_clients_make(struct agent *agent, const struct conf *conf, struct error *err);
