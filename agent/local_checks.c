/* SPDX-License-Identifier: Apache-2.0 */
/* See local_checks.h. */
#include "agent/local_checks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/private_file.h"

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

static int check_instances(const struct conf *conf, struct error *err)
{
    return check_folder(conf->DEFAULT.instances_path, R_OK | X_OK, err);
}

static int check_snapshots(const struct conf *conf, struct error *err)
{
    return check_writable(conf->libvirt.snapshots_directory, err);
}

static int check_state(const struct conf *conf, struct error *err)
{
    const char *path = conf->snapshot_agent.state_dir;
    struct stat st;
    cleanup_close int fd = -1;
    if (stat(path, &st) < 0 && errno == ENOENT)
        return check_writable(path, err);
    return private_file_open_folder(path, &fd, err);
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

static int check_qemu_img(const struct conf *conf, struct error *err)
{
    (void)conf;
    return check_program("qemu-img", err);
}

static int check_qemu_nbd(const struct conf *conf, struct error *err)
{
    (void)conf;
    return check_program("qemu-nbd", err);
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

/* Local system daemons only: of other URIs libvirt alone knows where they lead. */
static int check_libvirt(const struct conf *conf, struct error *err)
{
    const char *uri = conf->libvirt.connection_uri;
    const char *socket_path = uri ? strstr(uri, "socket=") : NULL;
    char path[PATH_MAX];
    if (socket_path) {
        socket_path += strlen("socket=");
        (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(socket_path, "&#"), socket_path);
        return knock_at_socket(path, err);
    }
    if (uri && uri[0] != '\0' && strcmp(uri, "qemu:///system") != 0)
        return 0;
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(libvirt_sockets); i++) {
        struct error trouble = ERROR_INIT;
        if (knock_at_socket(libvirt_sockets[i], &trouble) == 0)
            return 0;
        if (r == 0 || trouble.errnum != ENOENT) { /* the one that is there says more */
            r = -trouble.errnum;
            *err = trouble;
        }
    }
    return r;
}

/* A unit, or a container, has to show the agent the devices. */
static int check_devices(const struct conf *conf, struct error *err)
{
    const char *type = conf->libvirt.images_type;
    int r = type && strcmp(type, "lvm") == 0 ? check_folder(VOLUMES_FOLDER, R_OK | X_OK, err) : 0;
    return r < 0 ? error_prepend(err, "see DISKS ON LVM in nova-snapshot-agent(8)") : 0;
}

unsigned local_checks_run(const struct conf *conf, local_check_tell tell, void *arg)
{
    static const struct {
        const char *what;
        int (*look)(const struct conf *conf, struct error *err);
    } checks[] = {
        {"[DEFAULT]instances_path", check_instances},
        {"[libvirt]snapshots_directory", check_snapshots},
        {"[snapshot_agent]state_dir", check_state},
        {"[libvirt]images_type", check_devices},
        {"qemu-img", check_qemu_img},
        {"qemu-nbd", check_qemu_nbd},
        {"libvirt's socket", check_libvirt},
    };
    unsigned n_bad = 0;
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        struct error err = ERROR_INIT;
        int r = checks[i].look(conf, &err);
        n_bad += r < 0;
        if (r < 0)
            log_debug("%s: %s", checks[i].what, err.message);
        tell(arg, checks[i].what, r < 0 ? &err : NULL);
    }
    return n_bad;
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
