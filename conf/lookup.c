/* SPDX-License-Identifier: Apache-2.0 */
/* See lookup.h. Order and substitution: oslo_config.cfg:ConfigOpts._do_get. */
#include "conf/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "conf/interpolate.h"

#define DEPTH_MAX 16

/* $pybasedir, which is $state_path where nobody says otherwise, when nova is not to be seen. */
#define STATE_PATH "/var/lib/nova"

const char *lookup_group(const struct lookup *lookup, const struct option *option)
{
    return option->plugin && lookup->plugin_group ? lookup->plugin_group : option->group;
}

struct option_name lookup_name(const struct lookup *lookup, const struct option *option,
                               size_t place)
{
    const char *group = lookup_group(lookup, option);
    if (place == 0)
        return (struct option_name){.group = group, .name = option->name};
    if (place > OPTION_ALIASES_MAX || !option->aliases[place - 1].name)
        return (struct option_name){.name = NULL};
    struct option_name name = option->aliases[place - 1];
    if (!name.group)
        name.group = group;
    if (name.dropped > 0 &&
        installed_since(&lookup->installed, INSTALLED_OSLO_MESSAGING, name.dropped, 0))
        name.name = ""; /* which nothing is assigned to */
    return name;
}

const struct assignment *lookup_find(const struct lookup *lookup, const struct option *option)
{
    const struct assignment *item =
        assignments_find_in_environment(&lookup->in, lookup_group(lookup, option), option->name);
    for (unsigned file = lookup->in.n_files; !item && file > 0; file--) {
        struct option_name name;
        for (size_t i = 0; !item && (name = lookup_name(lookup, option, i)).name; i++)
            item = assignments_find(&lookup->in, file - 1, name.group, name.name);
    }
    return item;
}

static const struct assignment *find_unknown(const struct lookup *lookup, const char *group,
                                             const char *name)
{
    const struct assignment *item = assignments_find_in_environment(&lookup->in, group, name);
    for (unsigned file = lookup->in.n_files; !item && file > 0; file--)
        item = assignments_find(&lookup->in, file - 1, group, name);
    return item;
}

static const char *host_name(char buffer[static LOOKUP_DEFAULT_MAX])
{
    buffer[LOOKUP_DEFAULT_MAX - 1] = '\0';
    return gethostname(buffer, LOOKUP_DEFAULT_MAX - 1) == 0 ? buffer : NULL;
}

/* The address this host would send from; nothing is sent (oslo_utils.netutils.get_my_ipv4). */
static const char *my_ip(char buffer[static LOOKUP_DEFAULT_MAX])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    socklen_t length = sizeof(address);
    (void)inet_pton(AF_INET, "192.0.2.0", &address.sin_addr);
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
        inet_ntop(AF_INET, &address.sin_addr, buffer, LOOKUP_DEFAULT_MAX))
        return buffer;
    return "127.0.0.1";
}

const char *lookup_default(const struct lookup *lookup, const struct option *option,
                           char buffer[static LOOKUP_DEFAULT_MAX])
{
    const struct option_newer_default *newer = &option->newer;
    if (strcmp(option->group, "DEFAULT") == 0) {
        if (strcmp(option->name, "host") == 0 || strcmp(option->name, "console_host") == 0)
            return host_name(buffer);
        if (strcmp(option->name, "my_ip") == 0)
            return my_ip(buffer);
        if (strcmp(option->name, "pybasedir") == 0)
            return lookup->installed.folder[0] != '\0' ? lookup->installed.folder : STATE_PATH;
    }
    bool is_newer = newer->value && (!installed_is_known(&lookup->installed, newer->package) ||
                                     installed_since(&lookup->installed, newer->package,
                                                     newer->major, newer->minor));
    return is_newer ? newer->value : option->default_value;
}

static int resolve_name(void *arg, const char *name, char **ret_value, struct error *err);

int lookup_substitute(struct lookup *lookup, const char *group, const char *text, char **ret_text,
                      struct error *err)
{
    if (lookup->depth == DEPTH_MAX)
        return error_set(err, ELOOP, EXC_INTERNAL_ERROR, "values refer to each other in a circle");
    const char *outer = lookup->group;
    lookup->group = group;
    lookup->depth++;
    int r = interpolate(text, resolve_name, lookup, ret_text, err);
    lookup->depth--;
    lookup->group = outer;
    return r;
}

/* The substituted text of [group]name; ENOENT when neither the files nor the table know it. */
static int look_up_option(struct lookup *lookup, const char *group, const char *name,
                          char **ret_value, struct error *err)
{
    char buffer[LOOKUP_DEFAULT_MAX];
    const struct option *option = options_find(group, name);
    const struct assignment *item =
        option ? lookup_find(lookup, option) : find_unknown(lookup, group, name);
    if (!option && !item)
        return -ENOENT;
    const char *text = item ? item->value : lookup_default(lookup, option, buffer);
    return lookup_substitute(lookup, group, text ? text : "", ret_value, err);
}

static int resolve_name(void *arg, const char *name, char **ret_value, struct error *err)
{
    struct lookup *lookup = arg;
    const char *dot = strchr(name, '.');
    int r;
    if (dot) {
        cleanup_free char *group = strndup(name, (size_t)(dot - name));
        r = group ? look_up_option(lookup, group, dot + 1, ret_value, err) : error_nomem(err);
    } else {
        r = look_up_option(lookup, lookup->group, name, ret_value, err);
    }
    if (r == -ENOENT)
        r = look_up_option(lookup, "DEFAULT", name, ret_value, err);
    if (r == -ENOENT)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "there is no option '%s' to put in",
                         name);
    return r;
}
