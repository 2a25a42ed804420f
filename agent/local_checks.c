/* SPDX-License-Identifier: Apache-2.0 */
/* See local_checks.h. */
#include "agent/local_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "common/cleanup.h"
#include "common/private_file.h"
#include "common/process.h"
#include "conf/conf.h"

#define VERSION_MS 5000

/* As common/process gives it to helpers. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

#define VOLUMES_FOLDER "/dev/mapper"

/* libvirtd's, and virtqemud's where libvirt is modular. */
static const char *const libvirt_sockets[] = {"/run/libvirt/libvirt-sock",
                                              "/run/libvirt/virtqemud-sock"};

static int check_folder(const char *path, int mode, struct error *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ENOTDIR, EXC_INTERNAL_ERROR, "%s is no folder", path);
    if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) < 0)
        return error_errno(err, errno, "%s", path);
    return 0;
}

/* The folder itself, or the one above it that is there, for what will be made. */
static int check_writable(const char *path, struct error *err)
{
    char folder[PATH_MAX];
    struct stat st;
    if (snprintf(folder, sizeof(folder), "%s", path) >= (int)sizeof(folder))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s", path);
    while (stat(folder, &st) < 0 && errno == ENOENT) {
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder)
            break;
        *slash = '\0';
    }
    return check_folder(folder, W_OK | X_OK, err);
}

static void name_user(uid_t uid, char name[static LOCAL_CHECKS_USER_SIZE])
{
    struct passwd entry, *user = NULL;
    char names[1024];
    (void)getpwuid_r(uid, &entry, names, sizeof(names), &user);
    (void)snprintf(name, LOCAL_CHECKS_USER_SIZE, "%.48s (%u)",
                   user ? user->pw_name : "a user without a name", (unsigned)uid);
}

/* Whose it is, and what room there is. */
static void tell_folder(const char *path, const char *more, struct host_fact *fact)
{
    struct stat st;
    struct statvfs fs;
    char user[LOCAL_CHECKS_USER_SIZE];
    if (!fact || stat(path, &st) < 0 || statvfs(path, &fs) < 0)
        return;
    name_user(st.st_uid, user);
    host_check_tell(fact, "%s: of %s, mode %03o, %" PRIu64 " MiB free%s", path, user,
                    st.st_mode & 07777u, ((uint64_t)fs.f_bavail * fs.f_frsize) >> 20, more);
}

int local_checks_instances(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const char *path = view->agent->conf->DEFAULT.instances_path;
    int r = check_folder(path, R_OK | X_OK, err);
    if (r == 0)
        tell_folder(path, "", fact);
    return r;
}

/* Where what a snapshot stages takes room that the guests' disks need as well. */
static const char *shared_room(const struct conf *conf)
{
    struct stat snapshots, instances;
    if (stat(conf->libvirt.snapshots_directory, &snapshots) < 0 ||
        stat(conf->DEFAULT.instances_path, &instances) < 0)
        return "";
    return snapshots.st_dev == instances.st_dev ? ", shared with instances_path"
                                                : ", on a file system of its own";
}

int local_checks_snapshots(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const struct conf *conf = view->agent->conf;
    const char *path = conf->libvirt.snapshots_directory;
    int r = check_writable(path, err);
    if (r < 0)
        return r;
    host_check_tell(fact, "%s: not there yet, the agent makes it", path);
    tell_folder(path, shared_room(conf), fact);
    return 0;
}

/* The agent has to be the folder's owner; an operator who is root asks on behalf of that one. */
static int check_state(const struct host_view *view, const char *path, struct error *err)
{
    struct stat st;
    uid_t owner = 0;
    cleanup_close int fd = -1;
    if (stat(path, &st) < 0 && errno == ENOENT)
        return check_writable(path, err);
    return view->is_serving ? private_file_open_folder(path, &fd, err)
                            : private_file_judge_folder(path, &owner, err);
}

int local_checks_state(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const char *path = view->agent->conf->snapshot_agent.state_dir;
    int r = check_state(view, path, err);
    if (r < 0)
        return r;
    host_check_tell(fact, "%s: not there yet, the agent makes it", path);
    tell_folder(path, "", fact);
    return 0;
}

bool local_checks_state_is_others(const struct conf *conf,
                                  char ret_user[static LOCAL_CHECKS_USER_SIZE])
{
    struct stat st;
    if (stat(conf->snapshot_agent.state_dir, &st) < 0 || st.st_uid == geteuid())
        return false;
    name_user(st.st_uid, ret_user);
    return true;
}

static int check_program(const char *name, struct error *err)
{
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): never changed */
    for (path = path ? path : DEFAULT_PATH; *path != '\0';) {
        char file[PATH_MAX];
        size_t length = strcspn(path, ":");
        int n = snprintf(file, sizeof(file), "%.*s/%s", (int)length, path, name);
        if (n > 0 && (size_t)n < sizeof(file) && access(file, X_OK) == 0)
            return 0;
        path += length + (path[length] == ':');
    }
    return error_set(err, ENOENT, EXC_INTERNAL_ERROR, "%s is not to be found", name);
}

/* "qemu-img version 7.2.22 (Debian ...)", the first line of what it says; filtered as in use. */
static int tell_version(const char *name, struct host_fact *fact, struct error *err)
{
    const char *const argv[] = {name, "--version", NULL};
    const struct process_options options = {.argv = argv,
                                            .deadline_ms = VERSION_MS,
                                            .sandbox = PROCESS_SANDBOX_FILES,
                                            .output_max_bytes = 4096};
    cleanup_free char *output = NULL;
    size_t size = 0;
    int r = process_run(&options, &output, &size, err);
    if (r < 0)
        return r;
    output[strcspn(output, "\n")] = '\0';
    host_check_tell(fact, "%s", output);
    return 0;
}

static int check_tool(const char *name, struct host_fact *fact, struct error *err)
{
    int r = check_program(name, err);
    return r < 0 || !fact ? r : tell_version(name, fact, err);
}

int local_checks_qemu_img(struct host_view *view, struct host_fact *fact, struct error *err)
{
    (void)view;
    return check_tool("qemu-img", fact, err);
}

int local_checks_qemu_nbd(struct host_view *view, struct host_fact *fact, struct error *err)
{
    (void)view;
    return check_tool("qemu-nbd", fact, err);
}

/* A socket that nobody listens on is left by a daemon that died. */
static int knock_at_socket(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, EXC_INTERNAL_ERROR, "%s", path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_errno(err, errno, "cannot make a socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno != EAGAIN)
        return error_errno(err, errno, "%s", path);
    return 0;
}

/* libvirtd or virtqemud: the one that is there says more. */
static int knock_at_any(char *ret_path, size_t size, struct error *err)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(libvirt_sockets); i++) {
        struct error trouble = ERROR_INIT;
        (void)snprintf(ret_path, size, "%s", libvirt_sockets[i]);
        if (knock_at_socket(libvirt_sockets[i], &trouble) == 0)
            return 0;
        if (r == 0 || trouble.errnum != ENOENT) {
            r = -trouble.errnum;
            *err = trouble;
        }
    }
    return r;
}

/* Local system daemons only: of other URIs libvirt alone knows where they lead. */
int local_checks_libvirt(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const char *uri = view->agent->conf->libvirt.connection_uri;
    const char *socket_path = uri ? strstr(uri, "socket=") : NULL;
    char path[PATH_MAX];
    int r;
    if (socket_path) {
        socket_path += strlen("socket=");
        (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(socket_path, "&#"), socket_path);
        r = knock_at_socket(path, err);
    } else if (uri && uri[0] != '\0' && strcmp(uri, "qemu:///system") != 0) {
        host_check_tell(fact, "of %s libvirt alone knows", uri);
        return 0;
    } else {
        r = knock_at_any(path, sizeof(path), err);
    }
    if (r == 0)
        host_check_tell(fact, "%s is listened on", path);
    return r;
}

/* A unit, or a container, has to show the agent the devices. */
int local_checks_devices(struct host_view *view, struct host_fact *fact, struct error *err)
{
    const char *type = view->agent->conf->libvirt.images_type;
    int r = type && strcmp(type, "lvm") == 0 ? check_folder(VOLUMES_FOLDER, R_OK | X_OK, err) : 0;
    if (r < 0)
        return error_prepend(err, "see DISKS ON LVM in nova-snapshot-agent(8)");
    host_check_tell(fact, "%s", type ? type : "default");
    return 0;
}

/* The pid in a line of /proc/locks ("1: FLOCK ADVISORY WRITE 77 08:01:4711 0 EOF"), 0 if none. */
static int holder_in(const char *line, const struct stat *st)
{
    int pid = 0;
    unsigned major_number, minor_number;
    unsigned long inode;
    const char *rest = strstr(line, "WRITE");
    if (!strstr(line, "FLOCK") || !rest ||
        sscanf(rest, "WRITE %d %x:%x:%lu", &pid, &major_number, &minor_number, &inode) != 4)
        return 0;
    return inode == st->st_ino && major_number == major(st->st_dev) &&
                   minor_number == minor(st->st_dev) && pid != getpid()
               ? pid
               : 0;
}

int local_checks_lock_holder(const struct conf *conf)
{
    char path[PATH_MAX], line[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s.lock", conf->snapshot_agent.state_dir,
                   conf->DEFAULT.host);
    if (stat(path, &st) < 0)
        return 0;
    cleanup_fclose FILE *locks = fopen("/proc/locks", "re");
    int pid = 0;
    while (locks && pid == 0 && fgets(line, sizeof(line), locks))
        pid = holder_in(line, &st);
    return pid;
}
