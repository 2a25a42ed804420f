/* See command_line.h. */
#include "agent/command_line.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cleanup.h"

#define EXIT_USAGE 2

static const char help[] =
    "usage: nova-snapshot-agent [--config-file FILE]... [--config-dir DIR]... [--check-config]\n"
    "\n"
    "Takes instance snapshots beside nova-compute.\n"
    "\n"
    "  --config-file FILE  an oslo.config file; may be repeated, later ones win\n"
    "  --config-dir DIR    all *.conf files of a folder; may be repeated\n"
    "                      without either: /etc/nova/nova.conf, /etc/nova/nova-compute.conf\n"
    "  --check-config      print what is in force, secrets hidden, and end\n"
    "  --version           print the version and end\n"
    "  --help              print this and end\n";

static void add(struct command_line *line, const char *path, bool is_folder)
{
    if (line->n_sources == COMMAND_LINE_SOURCES_MAX) {
        (void)fprintf(stderr, "nova-snapshot-agent: more than %d configuration files are given\n",
                      COMMAND_LINE_SOURCES_MAX);
        exit(EXIT_USAGE);
    }
    line->sources[line->n_sources++] = (struct conf_source){path, is_folder};
}

static void add_default_files(struct command_line *line)
{
    static const char *const defaults[] = {"/etc/nova/nova.conf", "/etc/nova/nova-compute.conf"};
    if (line->n_sources > 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
        if (access(defaults[i], F_OK) == 0)
            add(line, defaults[i], false);
}

void command_line_parse(int argc, char **argv, struct command_line *ret_command_line)
{
    static const struct option options[] = {
        {"config-file", required_argument, NULL, 'f'},
        {"config-dir", required_argument, NULL, 'd'},
        {"check-config", no_argument, NULL, 'c'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct command_line line = {.n_sources = 0};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            add(&line, optarg, false);
            break;
        case 'd':
            add(&line, optarg, true);
            break;
        case 'c':
            line.check_config = true;
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
    add_default_files(&line);
    *ret_command_line = line;
}
