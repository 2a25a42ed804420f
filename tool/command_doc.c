/* SPDX-License-Identifier: Apache-2.0 */
/* See command_doc.h. */
#include "tool/command_doc.h"

#include <string.h>

#include "tool/command.h"

static void write_help_line(const struct command *command, FILE *out)
{
    int n = fprintf(out, "  %-25s%s%s%s", command->name, command->argument ? command->argument : "",
                    command->second ? " " : "", command->second ? command->second : "");
    (void)fprintf(out, "%*s%s\n", n < 40 ? 40 - n : 1, "", command->summary);
}

void command_doc_help(FILE *out)
{
    (void)fputs("usage: nova-snapshot COMMAND [ARGUMENT] [OPTION]...\n"
                "\n"
                "Shows and changes what the nova-snapshot-agent of this host is doing, and makes\n"
                "images of libvirt's domains without it.\n"
                "\n",
                out);
    for (const struct command *command = command_table; command->name; command++)
        write_help_line(command, out);
    (void)fputs("\nJOB is a number of the list, or the id of an image.\n\n", out);
    for (unsigned i = 0; i < INVOCATION_OPTIONS; i++) {
        const struct command_option *option = &command_options[i];
        if (command_letters[i] != '\0')
            (void)fprintf(out, "  -%c,", command_letters[i]);
        (void)fprintf(out, "%s--%s%s%s\n      %s\n", command_letters[i] != '\0' ? " " : "  ",
                      option->name, option->argument ? " " : "",
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
    (void)fputs(".TP\n.BR ", out);
    char letter = command_letters[option - command_options];
    if (letter != '\0')
        (void)fprintf(out, "\\-%c \", \" ", letter);
    (void)fputs("\\-\\-", out);
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
    if (command->second)
        (void)fprintf(out, " \\fI%s\\fR", command->second);
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

static bool takes_domain(const struct command *command)
{
    return command->argument && strstr(command->argument, "DOMAIN");
}

static void write_case(const struct command *command, FILE *out)
{
    static const enum invocation_option common[] = {INVOCATION_JSON, INVOCATION_SOCKET};
    (void)fprintf(out, "    \"%s\") words=\"", command->name);
    for (unsigned i = 0; i < COMMAND_COMMON_OPTIONS; i++)
        write_options(&common[i], command_takes(command, common[i]) ? 1 : 0, out);
    write_options(command->options, command->n_options, out);
    (void)fprintf(out, "%s%s\" ;;\n", takes_job(command) ? " $(_nova_snapshot_jobs)" : "",
                  takes_domain(command) ? " $(_nova_snapshot_domains)" : "");
}

/* Of names of two words: how long the first is; 0 for one. */
static size_t group_length(const struct command *command)
{
    const char *blank = strchr(command->name, ' ');
    return blank ? (size_t)(blank - command->name) : 0;
}

static bool begins_group(const struct command *command)
{
    size_t length = group_length(command);
    return length > 0 && (command == command_table || group_length(command - 1) != length ||
                          strncmp(command[-1].name, command->name, length) != 0);
}

/* The second words of a group, which stands together in the table. */
static void write_group(const struct command *command, FILE *out)
{
    size_t length = group_length(command);
    (void)fprintf(out, "    \"%.*s\") words=\"", (int)length, command->name);
    for (const struct command *first = command; command->name && group_length(command) == length &&
                                                strncmp(command->name, first->name, length) == 0;
         command++)
        (void)fprintf(out, "%s%s", command == first ? "" : " ", command->name + length + 1);
    (void)fputs("\" ;;\n", out);
}

/* What the first word may be. */
static void write_first_words(FILE *out)
{
    const char *blank = "";
    for (const struct command *command = command_table; command->name; command++) {
        size_t length = group_length(command);
        if (length > 0 && !begins_group(command))
            continue;
        (void)fprintf(out, "%s%.*s", blank, (int)(length > 0 ? length : strlen(command->name)),
                      command->name);
        blank = " ";
    }
}

static void write_group_names(FILE *out)
{
    for (const struct command *command = command_table; command->name; command++)
        if (begins_group(command))
            (void)fprintf(out,
                          "    [ \"$what\" = %.*s ] && [ \"$COMP_CWORD\" -gt 2 ] && "
                          "what=\"$what ${COMP_WORDS[2]}\"\n",
                          (int)group_length(command), command->name);
}

void command_doc_completion(FILE *out)
{
    (void)fputs(
        "# nova-snapshot(1)'s completion for bash.\n"
        "_nova_snapshot_jobs() {\n"
        "    nova-snapshot jobs --json 2>/dev/null | sed -n 's/^ *\"id\": \\([0-9]*\\),*$/\\1/p'\n"
        "}\n"
        "_nova_snapshot_domains() {\n"
        "    virsh -q -r list --all --name 2>/dev/null\n"
        "}\n"
        "_nova_snapshot() {\n"
        "    local words what='' current=${COMP_WORDS[COMP_CWORD]}\n"
        "    [ \"$COMP_CWORD\" -gt 1 ] && what=${COMP_WORDS[1]}\n",
        out);
    write_group_names(out);
    (void)fputs("    case $what in\n", out);
    for (const struct command *command = command_table; command->name; command++) {
        if (begins_group(command))
            write_group(command, out);
        write_case(command, out);
    }
    (void)fputs("    *) words=\"", out);
    write_first_words(out);
    (void)fputs("\" ;;\n"
                "    esac\n"
                "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
                "}\n"
                "complete -F _nova_snapshot nova-snapshot\n",
                out);
}
