/* The one table of options: what is read, checked and documented. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum option_type {
    OPTION_STRING,
    OPTION_BOOL,
    OPTION_INT,
    OPTION_LIST,  /* separated by commas, oslo's ListOpt */
    OPTION_MULTI, /* every assignment adds one, oslo's MultiStrOpt */
};

#define OPTION_ALIASES_MAX 3

struct option_name {
    const char *group; /* NULL = the option's own */
    const char *name;
};

struct option {
    const char *group;
    const char *name;
    enum option_type type;
    size_t offset;                                  /* of the field in struct conf */
    const char *default_value;                      /* as it would stand in a file; NULL = none */
    int min, max;                                   /* of a number */
    const char *choices;                            /* "|raw|qcow2|"; NULL = anything */
    struct option_name aliases[OPTION_ALIASES_MAX]; /* deprecated names */
    bool secret;
    bool plugin; /* of the auth plugin: auth_section moves it to another group */
    const char *help;
};

extern const struct option options_table[];
extern const size_t options_count;

/* NULL when there is no such option, alias included. */
const struct option *options_find(const char *group, const char *name);
