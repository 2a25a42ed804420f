/* SPDX-License-Identifier: Apache-2.0 */
/* See command_doc.h. */
#include "tool/command_doc.h"

#include <string.h>

#include "tool/command.h"

void command_doc_help(FILE *out)
{
    (void)fputs("usage: nova-snapshot COMMAND [ARGUMENT] [OPTION]...\n"
                "\n"
                "Shows and changes what the nova-snapshot-agent of this host is doing.\n"
                "\n",
                out);
    for (const struct command *command = command_table; command->name; command++)
        (void)fprintf(out, "  %-10s%-11s%s\n", command->name,
                      command->argument ? command->argument : "", command->summary);
    (void)fputs("\nJOB is a number of the list, or the id of an image.\n\n", out);
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++) {
        const struct command_option *option = &command_options[i];
        (void)fprintf(out, "  --%s%s%s\n      %s\n", option->name, option->argument ? " " : "",
                      option->argument ? option->argument : "", option->help);
    }
    (void)fputs("  --version, --help\n", out);
}

/* Text for roff: hyphens are no dashes. */
static void write_roff(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '-' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text == '\\' ? 'e' : *text, out);
    }
}

static void write_man_option(const struct command_option *option, FILE *out)
{
    (void)fputs(".TP\n.BR \\-\\-", out);
    write_roff(option->name, out);
    if (option->argument)
        (void)fprintf(out, " \\ \\fI%s\\fR", option->argument);
    (void)fputc('\n', out);
    write_roff(option->help, out);
    (void)fputc('\n', out);
}

static void write_man_command(const struct command *command, FILE *out)
{
    (void)fputs(".SS ", out);
    write_roff(command->name, out);
    if (command->argument)
        (void)fprintf(out, " \\fI%s\\fR", command->argument);
    (void)fputc('\n', out);
    write_roff(command->summary, out);
    (void)fputc('\n', out);
    if (command->more)
        write_roff(command->more, out);
    if (command->more)
        (void)fputc('\n', out);
    for (unsigned i = 0; i < command->n_options; i++)
        write_man_option(&command_options[command->options[i]], out);
}

void command_doc_man(FILE *out)
{
    (void)fputs(".SH COMMANDS\n.I JOB\nis a number of the list, or the id of an image.\n", out);
    for (const struct command *command = command_table; command->name; command++)
        write_man_command(command, out);
    (void)fputs(".SH OPTIONS\n", out);
    for (unsigned i = 0; i < COMMAND_COMMON_OPTIONS; i++)
        write_man_option(&command_options[i], out);
}

static void write_options(const enum invocation_option *options, unsigned n, FILE *out)
{
    for (unsigned i = 0; i < n; i++)
        (void)fprintf(out, " --%s", command_options[options[i]].name);
}

static bool takes_job(const struct command *command)
{
    return command->argument && strstr(command->argument, "JOB");
}

static void write_case(const struct command *command, FILE *out)
{
    static const enum invocation_option common[] = {INVOCATION_JSON, INVOCATION_SOCKET};
    (void)fprintf(out, "    %s) words=\"", command->name);
    write_options(common, COMMAND_COMMON_OPTIONS, out);
    write_options(command->options, command->n_options, out);
    (void)fprintf(out, "%s\" ;;\n", takes_job(command) ? " $(_nova_snapshot_jobs)" : "");
}

void command_doc_completion(FILE *out)
{
    (void)fputs(
        "# nova-snapshot(1)'s completion for bash.\n"
        "_nova_snapshot_jobs() {\n"
        "    nova-snapshot jobs --json 2>/dev/null | sed -n 's/^ *\"id\": \\([0-9]*\\),*$/\\1/p'\n"
        "}\n"
        "_nova_snapshot() {\n"
        "    local words current=${COMP_WORDS[COMP_CWORD]}\n"
        "    case \"$([ \"$COMP_CWORD\" -gt 1 ] && echo \"${COMP_WORDS[1]}\")\" in\n",
        out);
    for (const struct command *command = command_table; command->name; command++)
        write_case(command, out);
    (void)fputs("    *) words=\"", out);
    for (const struct command *command = command_table; command->name; command++)
        (void)fprintf(out, "%s%s", command == command_table ? "" : " ", command->name);
    (void)fputs("\" ;;\n"
                "    esac\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
                "}\n"
                "complete -F _nova_snapshot nova-snapshot\n",
                out);
}
