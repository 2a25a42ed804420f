/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of commands: what is run, and what help, man page and completion are made of.
 */
#pragma once

#include <stdbool.h>

#include "tool/invocation.h"

#define COMMAND_OPTIONS_MAX 12

struct command {
    const char *name;     /* a word, or two: what it is done to, and what */
    const char *argument; /* "JOB"; "[JOB]": it may be left out; NULL: none */
    const char *second;   /* "NAME", behind an argument that is not left out; NULL: none */
    const char *summary;  /* a line */
    const char *more;     /* what else the man page says; NULL: nothing */
    enum invocation_exit (*run)(const struct invocation *invocation);
    enum invocation_option options[COMMAND_OPTIONS_MAX]; /* besides those of all commands */
    unsigned n_options;
};

extern const struct command command_table[]; /* ended by one without a name */

struct command_option {
    const char *name;     /* several may have one, of which no command takes two */
    const char *argument; /* NULL: none */
    const char *help;
};

/* By enum invocation_option. The first two are for all commands, the second for those that ask an
 * agent. */
extern const struct command_option command_options[INVOCATION_OPTIONS];
extern const char command_letters[INVOCATION_OPTIONS]; /* short forms; NUL: it has none */
#define COMMAND_COMMON_OPTIONS 2

/* The one that the first of `n` words, or the first two, are the name of, and how many those are;
 * NULL when there is none. */
const struct command *command_find(int n, char *const *words, int *ret_used);

/* True when the command takes the option. */
bool command_takes(const struct command *command, enum invocation_option option);
