/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of the daemon. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/doctor_program.h"
#include "conf/sources.h"

struct command_line {
    struct conf_sources sources;
    bool check_config;
    bool doctor;
    struct doctor_request request; /* with --doctor */
};

/*
 * Parses the arguments. Prints and exits for --help, --version and wrong arguments. Points into
 * argv.
 */
void command_line_parse(int argc, char **argv, struct command_line *ret_command_line);
