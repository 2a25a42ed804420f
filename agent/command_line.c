/* SPDX-License-Identifier: Apache-2.0 */
/* See command_line.h. */
#include "agent/command_line.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_USAGE 2

static const char help[] =
    "usage: nova-snapshot-agent [--config-file FILE]... [--config-dir DIR]... [--check-config]\n"
    "                           [--doctor[=INSTANCE] [--json]]\n"
    "\n"
    "Takes instance snapshots beside nova-compute.\n"
    "\n"
    "  --config-file FILE  an oslo.config file; may be repeated, later ones win\n"
    "  --config-dir DIR    all *.conf files of a folder; may be repeated\n"
    "                      without either: the files nova-compute reads, then\n"
    "                      /etc/nova/nova-snapshot-agent.conf\n"
    "  --check-config      print what is in force and where it is from, secrets hidden,\n"
    "                      look at what this host has, and end\n"
    "  --doctor[=INSTANCE] look at this host, or at how a snapshot of an instance would be taken,\n"
    "                      as nova-snapshot doctor, which asks the agent that runs; and end\n"
    "  --json              with it: for programs\n"
    "  --version           print the version and end\n"
    "  --help              print this and end\n";

static void add_source(struct command_line *line, const char *path, bool is_folder)
{
    struct conf_sources *sources = &line->sources;
    if (sources->n == CONF_SOURCES_MAX) {
        (void)fprintf(stderr, "nova-snapshot-agent: more than %d configuration files are given\n",
                      CONF_SOURCES_MAX);
        exit(EXIT_USAGE);
    }
    sources->items[sources->n++] = (struct conf_source){path, is_folder};
}

void command_line_parse(int argc, char **argv, struct command_line *ret_command_line)
{
    static const struct option options[] = {
        {"config-file", required_argument, NULL, 'f'},
        {"config-dir", required_argument, NULL, 'd'},
        {"check-config", no_argument, NULL, 'c'},
        {"doctor", optional_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct command_line line = {.check_config = false};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            add_source(&line, optarg, false);
            break;
        case 'd':
            add_source(&line, optarg, true);
            break;
        case 'c':
            line.check_config = true;
            break;
        case 'o':
            line.doctor = true;
            line.request.instance = optarg;
            break;
        case 'j':
            line.request.as_json = true;
            break;
        case 'v':
            (void)puts("nova-snapshot-agent " VERSION);
            exit(EXIT_SUCCESS);
        case 'h':
            (void)fputs(help, stdout);
            exit(EXIT_SUCCESS);
        default:
            (void)fputs("try nova-snapshot-agent --help\n", stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "nova-snapshot-agent: unexpected argument '%s'\n", argv[optind]);
        exit(EXIT_USAGE);
    }
    *ret_command_line = line;
}
