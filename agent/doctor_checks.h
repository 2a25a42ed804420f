/* SPDX-License-Identifier: Apache-2.0 */
/* What only an operator who asks wants to know of a host: rows of host_checks.c. */
#pragma once

#include "agent/host_check.h"

host_check_look doctor_checks_configuration;
host_check_look doctor_checks_apparmor;
host_check_look doctor_checks_records;
host_check_look doctor_checks_left_overs;

/*
 * Whether QEMU may make the socket in `snapshots_directory` that a disk is streamed from: looks for
 * a rule that names it in the profiles' folder, when the file says that AppArmor is on. Public for
 * its test.
 */
void doctor_checks_look_for_rule(const char *enabled_file, const char *profiles,
                                 const char *snapshots_directory, struct host_fact *fact);
