/* SPDX-License-Identifier: Apache-2.0 */
/* See doctor_checks.h. */
#include "agent/doctor_checks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/reload.h"
#include "agent/workers.h"
#include "common/cleanup.h"
#include "driver/image/staging.h"

#define APPARMOR_ENABLED "/sys/module/apparmor/parameters/enabled"
#define APPARMOR_PROFILES "/etc/apparmor.d"
#define PACKAGED_RULES "abstractions/nova-snapshot-agent"
#define LINES_MAX 10000
#define OLD_S 10

struct names {
    char text[400];
    size_t used;
    bool is_cut;
};

static void add_name(struct names *names, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_name(struct names *names, const char *format, ...)
{
    size_t room = sizeof(names->text) - names->used;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(names->text + names->used, room, format, args);
    va_end(args);
    names->is_cut = names->is_cut || n < 0 || (size_t)n >= room;
    names->used = strlen(names->text);
}

static void add_option(void *arg, const char *group, const char *name)
{
    struct names *names = arg;
    add_name(names, "%s[%s]%s", names->used > 0 ? ", " : "", group, name);
}

/* Against what the files say now. */
static int compare_with_files(const struct host_view *view, struct names *differing,
                              struct error *err)
{
    struct conf *conf = NULL;
    int r = conf_load_to_compare(view->sources->items, view->sources->n, &conf, err);
    if (r == 0)
        reload_compare(view->agent, conf, add_option, differing);
    conf_free(conf);
    return r;
}

int doctor_checks_configuration(struct host_view *view, struct host_fact *fact, struct error *err)
{
    struct names read = {.used = 0}, differing = {.used = 0};
    for (size_t i = 0; i < view->sources->n; i++)
        add_name(&read, "%s%s%s", i > 0 ? ", " : "", view->sources->items[i].path,
                 view->sources->items[i].is_folder ? "/*.conf" : "");
    int r = view->is_serving ? compare_with_files(view, &differing, err) : 0;
    if (r < 0)
        return error_prepend(err, "the files have become wrong, the next start will fail");
    if (differing.used > 0)
        host_check_warn(fact, "the files differ from what the agent runs with: %s%s",
                        differing.text, differing.is_cut ? "..." : "");
    else if (view->agent->conf->is_compressed)
        host_check_warn(fact, "[oslo_messaging_rabbit]kombu_compression is set: requests that "
                              "nova's services compress are left to nova-compute");
    else
        host_check_tell(fact, "read from %s%s", read.used > 0 ? read.text : "the environment alone",
                        read.is_cut ? "..." : "");
    return 0;
}

static bool file_has(const char *path, const char *text)
{
    char line[PATH_MAX];
    cleanup_fclose FILE *file = fopen(path, "re");
    for (int i = 0; file && i < LINES_MAX && fgets(line, sizeof(line), file); i++)
        if (line[strspn(line, " \t")] != '#' && strstr(line, text))
            return true;
    return false;
}

/* AppArmor's own comment is an include where it reads "#include". */
static bool includes(const char *line, const char *file)
{
    line += strspn(line, " \t");
    line += *line == '#';
    return strncmp(line, "include", strlen("include")) == 0 && strstr(line, file);
}

static bool file_includes(const char *path, const char *file)
{
    char line[PATH_MAX];
    cleanup_fclose FILE *profile = fopen(path, "re");
    for (int i = 0; profile && i < LINES_MAX && fgets(line, sizeof(line), profile); i++)
        if (includes(line, file))
            return true;
    return false;
}

/* What lets QEMU make the socket. */
struct socket_rule {
    char text[PATH_MAX];
    bool is_packaged; /* the package's file has it, which counts where it is included */
};

static bool file_lets(const char *path, const struct socket_rule *rule)
{
    return file_has(path, rule->text) || (rule->is_packaged && file_includes(path, PACKAGED_RULES));
}

static bool folder_lets(const char *path, const struct socket_rule *rule)
{
    char file[PATH_MAX + NAME_MAX + 2];
    bool found = false;
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && !found && (entry = readdir(folder))) { /* NOLINT(concurrency-mt-unsafe) */
        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        found = file_lets(file, rule);
    }
    if (folder)
        (void)closedir(folder);
    return found;
}

/* Of the files that libvirt's profiles for QEMU are made of. */
static bool find_rule(const char *profiles, const struct socket_rule *rule,
                      char path[static PATH_MAX])
{
    static const char *const files[] = {"abstractions/libvirt-qemu",
                                        "local/abstractions/libvirt-qemu"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        (void)snprintf(path, PATH_MAX, "%s/%s", profiles, files[i]);
        if (file_lets(path, rule))
            return true;
    }
    (void)snprintf(path, PATH_MAX, "%s/abstractions/libvirt-qemu.d", profiles);
    return folder_lets(path, rule);
}

void doctor_checks_look_for_rule(const char *enabled_file, const char *profiles,
                                 const char *snapshots_directory, struct host_fact *fact)
{
    char path[PATH_MAX];
    struct socket_rule rule;
    if (!file_has(enabled_file, "Y")) {
        host_check_tell(fact, "is not on");
        return;
    }
    (void)snprintf(rule.text, sizeof(rule.text), "%s/*/nbd/s", snapshots_directory);
    (void)snprintf(path, sizeof(path), "%s/%s", profiles, PACKAGED_RULES);
    rule.is_packaged = file_has(path, rule.text);
    if (find_rule(profiles, &rule, path))
        host_check_tell(fact, "%s lets QEMU make the socket a disk is streamed from", path);
    else
        host_check_warn(fact,
                        "no rule lets QEMU make %s%s: where AppArmor confines it, stream gives "
                        "way to a copy",
                        rule.text,
                        rule.is_packaged ? " (nothing includes <" PACKAGED_RULES ">, which would)"
                                         : "");
}

int doctor_checks_apparmor(struct host_view *view, struct host_fact *fact, struct error *err)
{
    (void)err;
    doctor_checks_look_for_rule(APPARMOR_ENABLED, APPARMOR_PROFILES,
                                view->agent->conf->libvirt.snapshots_directory, fact);
    return 0;
}

/* A request that has just begun may not be among those that are counted as under way. */
static bool is_old(DIR *folder, const char *name)
{
    struct stat st;
    return fstatat(dirfd(folder), name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           time(NULL) - st.st_mtime >= OLD_S;
}

/* How many names in a folder begin and end so, and are not new. */
static unsigned count_names(const char *path, const char *begin, const char *end)
{
    unsigned n = 0;
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) { /* NOLINT(concurrency-mt-unsafe) */
        size_t length = strlen(entry->d_name), tail = strlen(end);
        n += strncmp(entry->d_name, begin, strlen(begin)) == 0 && length >= tail &&
             strcmp(entry->d_name + length - tail, end) == 0 && is_old(folder, entry->d_name);
    }
    if (folder)
        (void)closedir(folder);
    return n;
}

static void name_journal(const struct host_view *view, char ret_path[static PATH_MAX])
{
    const struct conf *conf = view->agent->conf;
    (void)snprintf(ret_path, PATH_MAX, "%s/%s.journal", conf->snapshot_agent.state_dir,
                   conf->DEFAULT.host);
}

int doctor_checks_records(struct host_view *view, struct host_fact *fact, struct error *err)
{
    char journal[PATH_MAX];
    name_journal(view, journal);
    unsigned n = count_names(journal, "", ".unreadable");
    if (n > 0)
        return error_set(err, EBADMSG, EXC_INTERNAL_ERROR,
                         "%u in %s (*.unreadable): guests may not be as they were", n, journal);
    host_check_tell(fact, "none");
    return 0;
}

/* What is under way has a record, and may have a folder. nova-compute has folders there, too. */
int doctor_checks_left_overs(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct agent *agent = view->agent;
    const struct conf *conf = agent->conf;
    char journal[PATH_MAX];
    (void)err;
    name_journal(view, journal);
    unsigned n_running = view->is_serving ? workers_running(agent->workers) : 0;
    unsigned n_records = count_names(journal, "", ".request");
    unsigned n_folders = count_names(conf->libvirt.snapshots_directory, STAGING_PREFIX, "");
    if (n_records <= n_running && n_folders <= n_running)
        host_check_tell(fact, "none; %u requests are under way", n_running);
    else
        host_check_warn(fact,
                        "%u requests are under way, but there are %u records of requests, and %u "
                        "folders in %s",
                        n_running, n_records, n_folders, conf->libvirt.snapshots_directory);
    return 0;
}
