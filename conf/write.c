/* SPDX-License-Identifier: Apache-2.0 */
/* The option table as a sample file, a man page and the values in force. See conf.h. */
#include <string.h>

#include "common/cleanup.h"
#include "conf/conf.h"
#include "conf/options.h"
#include "conf/origins.h"

static const char *type_name(enum option_type type)
{
    switch (type) {
    case OPTION_BOOL:
        return "boolean";
    case OPTION_INT:
        return "integer";
    case OPTION_LIST:
        return "list, separated by commas";
    case OPTION_MULTI:
        return "string, may be given several times";
    case OPTION_OTHERS:
    case OPTION_STRING:
        break;
    }
    return "string";
}

static void write_newer(const struct option *option, FILE *out)
{
    static const char *const packages[INSTALLED_COUNT] = {"nova", "oslo.messaging"};
    const struct option_newer_default *newer = &option->newer;
    if (newer->value)
        (void)fprintf(out, "; %s since %s %u.%u", newer->value, packages[newer->package],
                      newer->major, newer->minor);
}

static bool starts_group(size_t i)
{
    return i == 0 || strcmp(options_table[i].group, options_table[i - 1].group) != 0;
}

/* "raw, qcow2" out of "|raw|qcow2|" */
static void write_choices(const struct option *option, FILE *out)
{
    for (const char *at = option->choices + 1; *at != '\0';) {
        size_t length = strcspn(at, "|");
        (void)fprintf(out, "%.*s%s", (int)length, at, at[length + 1] != '\0' ? ", " : "");
        at += length + 1;
    }
}

static void write_wrapped(FILE *out, const char *prefix, const char *text)
{
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > 90) {
            length = 90;
            while (length > 0 && text[length] != ' ')
                length--;
        }
        (void)fprintf(out, "%s%.*s\n", prefix, (int)length, text);
        text += length;
        text += strspn(text, " ");
    }
}

void conf_write_sample(FILE *out)
{
    (void)fputs("# nova-snapshot-agent reads nova's own files; what stands here adds to them.\n",
                out);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (option->type == OPTION_OTHERS)
            continue;
        if (starts_group(i))
            (void)fprintf(out, "\n[%s]\n", option->group);
        (void)fputc('\n', out);
        write_wrapped(out, "# ", option->help);
        (void)fprintf(out, "# (%s", type_name(option->type));
        if (option->choices) {
            (void)fputs(": ", out);
            write_choices(option, out);
        }
        write_newer(option, out);
        (void)fprintf(out, ")\n#%s = %s\n", option->name,
                      option->default_value ? option->default_value : "<None>");
    }
}

/* Text for roff: a leading dot or quote and backslashes must not be commands. */
static void write_roff(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            (void)fputs("\\e", out);
        else if (*text == '-')
            (void)fputs("\\-", out);
        else
            (void)fputc(*text, out);
    }
}

static void write_man_option(const struct option *option, FILE *out)
{
    (void)fputs(".TP\n.B ", out);
    write_roff(out, option->name);
    (void)fputc('\n', out);
    write_roff(out, option->help);
    (void)fprintf(out, "\n.br\n(%s", type_name(option->type));
    if (option->choices) {
        (void)fputs(": ", out);
        write_choices(option, out);
    }
    if (option->default_value && option->default_value[0] != '\0') {
        (void)fputs("; default: ", out);
        write_roff(out, option->default_value);
    }
    write_newer(option, out);
    (void)fputs(")\n", out);
    for (size_t i = 0; i < OPTION_ALIASES_MAX && option->aliases[i].name; i++)
        (void)fprintf(out, ".br\nDeprecated name: [%s]%s\n",
                      option->aliases[i].group ? option->aliases[i].group : option->group,
                      option->aliases[i].name);
}

void conf_write_man(FILE *out)
{
    for (size_t i = 0; i < options_count; i++) {
        if (options_table[i].type == OPTION_OTHERS)
            continue;
        if (starts_group(i))
            (void)fprintf(out, ".SS [%s]\n", options_table[i].group);
        write_man_option(&options_table[i], out);
    }
}

static void write_list(char *const *list, FILE *out)
{
    for (; list && *list; list++)
        (void)fprintf(out, "%s%s", *list, list[1] ? "," : "");
}

static void write_string(const struct option *option, const char *text, FILE *out)
{
    if (!text)
        return;
    if (option->url)
        transport_url_show(text, out);
    else
        (void)fputs(option->secret && text[0] != '\0' ? "****" : text, out);
}

static void write_value(const struct option *option, const void *field, FILE *out)
{
    switch (option->type) {
    case OPTION_STRING:
        write_string(option, *(char *const *)field, out);
        break;
    case OPTION_BOOL:
        (void)fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case OPTION_INT:
        (void)fprintf(out, "%d", *(const int *)field);
        break;
    case OPTION_LIST:
    case OPTION_MULTI:
        write_list(*(char **const *)field, out);
        break;
    case OPTION_OTHERS:
        break;
    }
}

static void write_line(const struct conf *conf, const struct option *option, const void *field,
                       enum origins_set set, FILE *out)
{
    (void)fprintf(out, "%s = ", option->name);
    write_value(option, field, out);
    (void)fprintf(out, "  # %s\n", origins_get(conf->origins, set, option));
}

/* Where notifications go to another broker, its query counts for them. */
static void write_notification_rabbit(const struct conf *conf, FILE *out)
{
    struct rabbit_options rabbit = conf->notification_rabbit;
    (void)fprintf(out, "\n[%s] of notifications\n", OPTIONS_RABBIT_GROUP);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (options_is_rabbits(option))
            write_line(conf, option, options_rabbit_field(&rabbit, option), ORIGINS_NOTIFICATIONS,
                       out);
    }
}

static void write_release(const struct installed *installed, FILE *out)
{
    if (installed_is_known(installed, INSTALLED_NOVA))
        (void)fprintf(out, "# defaults of nova %u.%u and oslo.messaging %u.%u in %s\n",
                      installed->version[INSTALLED_NOVA].major,
                      installed->version[INSTALLED_NOVA].minor,
                      installed->version[INSTALLED_OSLO_MESSAGING].major,
                      installed->version[INSTALLED_OSLO_MESSAGING].minor, installed->folder);
    else
        (void)fputs("# no nova is to be seen here (nova_packages): the newest defaults\n", out);
}

void conf_write_effective(const struct conf *conf, FILE *out)
{
    write_release(&conf->installed, out);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (option->type == OPTION_OTHERS)
            continue;
        if (starts_group(i))
            (void)fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", option->group);
        write_line(conf, option, (const char *)conf + option->offset, ORIGINS_OPTIONS, out);
    }
    if (conf->notification_url)
        write_notification_rabbit(conf, out);
}
