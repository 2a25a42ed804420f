/* SPDX-License-Identifier: Apache-2.0 */
/* The agent itself, its broker and the nova-compute beside it: rows of host_checks.c. */
#pragma once

#include "agent/host_check.h"

host_check_look peer_checks_agent;
host_check_look peer_checks_broker;
host_check_look peer_checks_nova_compute;
