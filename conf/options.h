/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of options: what is read, checked and documented. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/rabbit_options.h"
#include "conf/installed.h"

enum option_type {
    OPTION_STRING,
    OPTION_BOOL,
    OPTION_INT,
    OPTION_LIST,   /* separated by commas, oslo's ListOpt */
    OPTION_MULTI,  /* every assignment adds one, oslo's MultiStrOpt */
    OPTION_OTHERS, /* nova's, of no use here; other values may refer to it */
};

#define OPTION_ALIASES_MAX 3

struct option_name {
    const char *group; /* NULL = the option's own */
    const char *name;
    unsigned dropped; /* major version of oslo.messaging that no longer knows it; 0 = all do */
};

/* A default that is another one from some release on. */
struct option_newer_default {
    enum installed_package package;
    unsigned major, minor;
    const char *value; /* NULL = it never changed */
};

struct option {
    const char *group;
    const char *name;
    enum option_type type;
    size_t offset;                     /* of the field in struct conf */
    const char *default_value;         /* as it would stand in a file; NULL = none */
    struct option_newer_default newer; /* also where no release can be told */
    int min, max;                      /* of a number; a max of INT_MAX is none of nova's */
    bool empty_is_zero;  /* a number that is there without a value; else the default stays */
    bool lax;            /* nova has no limits: what is beyond is taken for them */
    const char *choices; /* "|raw|qcow2|", also of each item of a list; NULL = anything */
    struct option_name aliases[OPTION_ALIASES_MAX]; /* deprecated names */
    bool secret;
    bool url;    /* with secrets in it */
    bool plugin; /* of the auth plugin: auth_section moves it to another group */
    const char *help;
};

extern const struct option options_table[];
extern const size_t options_count;

/* NULL when there is no such option, alias included. */
const struct option *options_find(const char *group, const char *name);

/* The group that the queries of transport URLs change. */
#define OPTIONS_RABBIT_GROUP "oslo_messaging_rabbit"

/* True when the option is of that group, and has a field. */
bool options_is_rabbits(const struct option *option);

/* The field of such an option in either copy of the group. Borrowed. */
void *options_rabbit_field(struct rabbit_options *rabbit, const struct option *option);
