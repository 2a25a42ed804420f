/* SPDX-License-Identifier: Apache-2.0 */
/* Whether libvirt and OpenStack's services answer, and whether there is room: rows of
 * host_checks.c. */
#pragma once

#include "agent/host_check.h"

host_check_look service_checks_libvirt;
host_check_look service_checks_snapshots_room;
host_check_look service_checks_state_room;
host_check_look service_checks_keystone;
host_check_look service_checks_glance;
host_check_look service_checks_cinder;
