/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the command line. */
#pragma once

#include "tool/command.h"

/*
 * NULL when there is nothing to run: then it has said why, or shown what was asked for, and
 * *ret_exit is what the program ends with.
 */
const struct command *command_line_parse(int argc, char **argv, struct invocation *ret_invocation,
                                         enum invocation_exit *ret_exit);
