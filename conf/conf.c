/* See conf.h. Look-up order and substitution: oslo_config.cfg:ConfigOpts._do_get. */
#include "conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "conf/convert.h"
#include "conf/interpolate.h"
#include "conf/options.h"
#include "conf/parser.h"

#define DEPTH_MAX 16
#define OWN_GROUP "snapshot_agent"

struct loader {
    struct assignments in;
    const char *plugin_group; /* where the auth plugin's options are */
    const char *group;        /* of the value that is being substituted */
    unsigned depth;
};

static bool same_group(const char *a, const char *b)
{
    /* oslo folds the case of all groups but DEFAULT. */
    return strcmp(a, b) == 0 || (strcmp(b, "DEFAULT") != 0 && strcasecmp(a, b) == 0);
}

/* The last assignment of one name in one file, NULL if there is none. */
static const struct assignment *find_in_file(const struct loader *loader, unsigned file,
                                             const char *group, const char *name)
{
    for (size_t i = loader->in.n; i > 0; i--) {
        const struct assignment *item = &loader->in.items[i - 1];
        if (item->file == file && same_group(item->group, group) && strcmp(item->name, name) == 0)
            return item;
    }
    return NULL;
}

static const char *group_of(const struct loader *loader, const struct option *option)
{
    return option->plugin && loader->plugin_group ? loader->plugin_group : option->group;
}

/* In later files first; in one file the current name before the deprecated ones. */
static const struct assignment *find(const struct loader *loader, const struct option *option)
{
    const char *group = group_of(loader, option);
    for (unsigned file = loader->in.n_files; file > 0; file--) {
        const struct assignment *item = find_in_file(loader, file - 1, group, option->name);
        for (size_t i = 0; !item && i < OPTION_ALIASES_MAX && option->aliases[i].name; i++) {
            const struct option_name *alias = &option->aliases[i];
            item = find_in_file(loader, file - 1, alias->group ? alias->group : group, alias->name);
        }
        if (item)
            return item;
    }
    return NULL;
}

static const struct assignment *find_unknown(const struct loader *loader, const char *group,
                                             const char *name)
{
    for (unsigned file = loader->in.n_files; file > 0; file--) {
        const struct assignment *item = find_in_file(loader, file - 1, group, name);
        if (item)
            return item;
    }
    return NULL;
}

static const char *default_text(const struct option *option, char host[static HOST_NAME_MAX + 1])
{
    if (strcmp(option->group, "DEFAULT") != 0 || strcmp(option->name, "host") != 0)
        return option->default_value;
    host[HOST_NAME_MAX] = '\0';
    return gethostname(host, HOST_NAME_MAX) == 0 ? host : NULL;
}

static int resolve(void *arg, const char *name, char **ret_value, struct error *err);

static int substitute(struct loader *loader, const char *group, const char *text, char **ret_text,
                      struct error *err)
{
    if (loader->depth == DEPTH_MAX)
        return error_set(err, ELOOP, EXC_INTERNAL_ERROR, "values refer to each other in a circle");
    const char *outer = loader->group;
    loader->group = group;
    loader->depth++;
    int r = interpolate(text, resolve, loader, ret_text, err);
    loader->depth--;
    loader->group = outer;
    return r;
}

/* The substituted text of [group]name; ENOENT when neither the files nor the table know it. */
static int lookup(struct loader *loader, const char *group, const char *name, char **ret_value,
                  struct error *err)
{
    char host[HOST_NAME_MAX + 1];
    const struct option *option = options_find(group, name);
    const struct assignment *item =
        option ? find(loader, option) : find_unknown(loader, group, name);
    if (!option && !item)
        return -ENOENT;
    const char *text = item ? item->value : default_text(option, host);
    return substitute(loader, group, text ? text : "", ret_value, err);
}

static int resolve(void *arg, const char *name, char **ret_value, struct error *err)
{
    struct loader *loader = arg;
    const char *dot = strchr(name, '.');
    int r;
    if (dot) {
        cleanup_free char *group = strndup(name, (size_t)(dot - name));
        r = group ? lookup(loader, group, dot + 1, ret_value, err) : error_nomem(err);
    } else {
        r = lookup(loader, loader->group, name, ret_value, err);
    }
    if (r == -ENOENT)
        r = lookup(loader, "DEFAULT", name, ret_value, err);
    if (r == -ENOENT)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "there is no option '%s' to put in",
                         name);
    return r;
}

/* Puts "file:line: [group]name" in front of what is wrong with a value. */
static int blame(const struct loader *loader, const struct option *option,
                 const struct assignment *item, struct error *err)
{
    if (!item)
        return error_prepend(err, "default of [%s]%s", option->group, option->name);
    return error_prepend(err, "%s:%u: [%s]%s", loader->in.files[item->file], item->line,
                         item->group, item->name);
}

static int store(struct loader *loader, const struct option *option, const char *text,
                 struct conf *conf, struct error *err)
{
    char *value;
    int r = substitute(loader, group_of(loader, option), text, &value, err);
    if (r < 0 && option->secret) /* part of it may be in the message */
        return error_set(err, err->errnum, EXC_INTERNAL_ERROR,
                         "a $ in it is neither doubled nor that of an option");
    if (r < 0)
        return r;
    r = convert_store(option, value, conf, err);
    explicit_bzero(value, strlen(value));
    free(value);
    return r;
}

/* All assignments of the file and name that the last one has. */
static int load_multi(struct loader *loader, const struct option *option,
                      const struct assignment *last, struct conf *conf, struct error *err)
{
    for (size_t i = 0; i < loader->in.n; i++) {
        const struct assignment *item = &loader->in.items[i];
        if (strcmp(item->name, last->name) != 0 || !same_group(item->group, last->group))
            continue;
        int r = store(loader, option, item->value, conf, err);
        if (r < 0)
            return blame(loader, option, item, err);
    }
    return 0;
}

static int load_option(struct loader *loader, const struct option *option, struct conf *conf,
                       struct error *err)
{
    char host[HOST_NAME_MAX + 1];
    int r = convert_clear(option, conf, err);
    if (r < 0)
        return r;
    const struct assignment *item = find(loader, option);
    if (item && option->type == OPTION_MULTI)
        return load_multi(loader, option, item, conf, err);
    /* The default first: an empty number in a file leaves it standing. */
    const char *text = default_text(option, host);
    if (text)
        r = store(loader, option, text, conf, err);
    if (r < 0)
        return blame(loader, option, NULL, err);
    if (item)
        r = store(loader, option, item->value, conf, err);
    return r < 0 ? blame(loader, option, item, err) : 0;
}

static int check_own_group(const struct loader *loader, struct error *err)
{
    for (size_t i = 0; i < loader->in.n; i++) {
        const struct assignment *item = &loader->in.items[i];
        if (same_group(item->group, OWN_GROUP) && !options_find(OWN_GROUP, item->name))
            return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "%s:%u: [%s] has no option '%s'",
                             loader->in.files[item->file], item->line, OWN_GROUP, item->name);
    }
    return 0;
}

static int read_sources(struct loader *loader, const struct conf_source *sources, size_t n,
                        struct error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = sources[i].is_folder ? parser_read_dir(&loader->in, sources[i].path, err)
                                 : parser_read_file(&loader->in, sources[i].path, err);
    return r;
}

static int load_all(struct loader *loader, struct conf *conf, struct error *err)
{
    int r = check_own_group(loader, err);
    /* auth_section comes before the plugin's options in the table. */
    for (size_t i = 0; r == 0 && i < options_count; i++) {
        r = load_option(loader, &options_table[i], conf, err);
        loader->plugin_group = conf->service_user.auth_section;
    }
    return r;
}

int conf_load(const struct conf_source *sources, size_t n_sources, struct conf **ret_conf,
              struct error *err)
{
    struct conf *conf = calloc(1, sizeof(*conf));
    if (!conf)
        return error_nomem(err);
    struct loader loader = {.group = "DEFAULT"};
    int r = read_sources(&loader, sources, n_sources, err);
    if (r == 0)
        r = load_all(&loader, conf, err);
    assignments_done(&loader.in);
    if (r < 0) {
        conf_free(conf);
        return r;
    }
    *ret_conf = conf;
    return 0;
}

int conf_override(struct conf *conf, const char *group, const char *name, const char *value,
                  struct error *err)
{
    const struct option *option = options_find(group, name);
    if (!option)
        return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "[%s] has no option '%s'", group, name);
    int r = convert_store(option, value, conf, err);
    return r < 0 ? error_prepend(err, "[%s]%s", group, name) : 0;
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (size_t i = 0; i < options_count; i++)
        convert_free(&options_table[i], conf);
    free(conf);
}
