/* The command line of the daemon. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"

#define COMMAND_LINE_SOURCES_MAX 64

struct command_line {
    struct conf_source sources[COMMAND_LINE_SOURCES_MAX];
    size_t n_sources;
    bool check_config;
};

/*
 * Parses the arguments; without any file or folder, nova's own files are taken as far as they
 * exist. Prints and exits for --help, --version and wrong arguments. Points into argv.
 */
void command_line_parse(int argc, char **argv, struct command_line *ret_command_line);
