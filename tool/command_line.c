/* SPDX-License-Identifier: Apache-2.0 */
/* See command_line.h. */
#include "tool/command_line.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tool/command_doc.h"

/* What getopt_long() gives back for an option: its place in command_options[] from here on. */
#define FIRST_OPTION 256

enum { OPTION_HELP = 'h', OPTION_VERSION = 'v' };

static void list_options(struct option options[static INVOCATION_OPTIONS + 3])
{
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++)
        options[i] = (struct option){command_options[i].name,
                                     command_options[i].argument ? required_argument : no_argument,
                                     NULL, FIRST_OPTION + (int)i};
    options[INVOCATION_OPTIONS] = (struct option){"help", no_argument, NULL, OPTION_HELP};
    options[INVOCATION_OPTIONS + 1] = (struct option){"version", no_argument, NULL, OPTION_VERSION};
    options[INVOCATION_OPTIONS + 2] = (struct option){NULL, 0, NULL, 0};
}

/* What getopt() takes of short options. */
static void list_letters(char letters[static 2 * INVOCATION_OPTIONS + 1])
{
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++) {
        if (command_letters[i] == '\0')
            continue;
        *letters++ = command_letters[i];
        if (command_options[i].argument)
            *letters++ = ':';
    }
    *letters = '\0';
}

/* The place in command_options[] of what getopt_long() has given back; INVOCATION_OPTIONS: none. */
static unsigned find_option(int option)
{
    unsigned i = 0;
    if (option >= FIRST_OPTION)
        return (unsigned)(option - FIRST_OPTION);
    while (i < INVOCATION_OPTIONS && command_letters[i] != option)
        i++;
    return i;
}

static const struct command *end_with(enum invocation_exit status, enum invocation_exit *ret_exit)
{
    if (status == INVOCATION_USAGE)
        (void)fputs("try nova-snapshot --help\n", stderr);
    *ret_exit = status;
    return NULL;
}

/* False when there are too few or too many. */
static bool take_argument(const struct command *command, int n, char **words,
                          struct invocation *invocation)
{
    int most = (command->argument != NULL) + (command->second != NULL);
    if (n > most) {
        (void)fprintf(stderr, "nova-snapshot: unexpected argument '%s'\n", words[most]);
        return false;
    }
    if (n == 0 && command->argument && command->argument[0] != '[') {
        (void)fprintf(stderr, "nova-snapshot: %s needs a %s\n", command->name, command->argument);
        return false;
    }
    if (n == 1 && command->second) {
        (void)fprintf(stderr, "nova-snapshot: %s needs a %s\n", command->name, command->second);
        return false;
    }
    invocation->argument = n > 0 ? words[0] : NULL;
    invocation->second = n > 1 ? words[1] : NULL;
    return true;
}

/* getopt_long() finds the first of a name; the command may know the other one. */
static void give_to_namesake(const struct command *command, struct invocation *invocation,
                             unsigned given)
{
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++) {
        if (i == given || !command_takes(command, i) ||
            strcmp(command_options[i].name, command_options[given].name) != 0)
            continue;
        invocation->values[i] = invocation->values[given];
        invocation->values[given] = NULL;
        return;
    }
}

static bool takes_all_disks(const struct command *command)
{
    return command_takes(command, INVOCATION_DISK_FILE) ||
           command_takes(command, INVOCATION_MERGED_FILE);
}

static bool refuse_second(unsigned place)
{
    (void)fprintf(stderr, "nova-snapshot: --%s is given twice\n", command_options[place].name);
    return false;
}

static bool check_options(const struct command *command, struct invocation *invocation)
{
    if (invocation->disk_count > 1 && !takes_all_disks(command))
        return refuse_second(INVOCATION_DISK);
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++)
        if (invocation->values[i] && !command_takes(command, i))
            give_to_namesake(command, invocation, i);
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++) {
        if (!invocation->values[i] || command_takes(command, i))
            continue;
        (void)fprintf(stderr, "nova-snapshot: %s takes no --%s\n", command->name,
                      command_options[i].name);
        return false;
    }
    return true;
}

/* getopt_long() finds the first option of a name, whichever of them the command takes. False when
 * there are too many: of two values the last would win, without a word. */
static bool add_option(struct invocation *invocation, unsigned place, const char *value)
{
    bool is_disk = place == INVOCATION_DISK;
    if (value && invocation->values[place] && !is_disk)
        return refuse_second(place);
    if (is_disk && invocation->disk_count == INVOCATION_DISKS_MAX) {
        (void)fputs("nova-snapshot: too many --disk\n", stderr);
        return false;
    }
    if (is_disk)
        invocation->disks[invocation->disk_count++] = value;
    invocation->values[place] = value ? value : "";
    return true;
}

const struct command *command_line_parse(int argc, char **argv, struct invocation *ret_invocation,
                                         enum invocation_exit *ret_exit)
{
    struct option options[INVOCATION_OPTIONS + 3];
    struct invocation invocation = {.argument = NULL};
    char letters[2 * INVOCATION_OPTIONS + 1];
    int option, used = 0;
    list_options(options);
    list_letters(letters);
    optind = 0; /* from the beginning, also a second time */
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (option == OPTION_HELP) {
            command_doc_help(stdout);
            return end_with(INVOCATION_DONE, ret_exit);
        }
        if (option == OPTION_VERSION) {
            (void)puts("nova-snapshot " VERSION);
            return end_with(INVOCATION_DONE, ret_exit);
        }
        unsigned place = find_option(option);
        if (place == INVOCATION_OPTIONS || !add_option(&invocation, place, optarg))
            return end_with(INVOCATION_USAGE, ret_exit);
    }
    const struct command *command = command_find(argc - optind, argv + optind, &used);
    if (!command) {
        (void)fprintf(stderr, "nova-snapshot: %s%s\n",
                      optind < argc ? "there is no command " : "no command is given",
                      optind < argc ? argv[optind] : "");
        return end_with(INVOCATION_USAGE, ret_exit);
    }
    if (!take_argument(command, argc - optind - used, argv + optind + used, &invocation) ||
        !check_options(command, &invocation))
        return end_with(INVOCATION_USAGE, ret_exit);
    *ret_invocation = invocation;
    return command;
}
