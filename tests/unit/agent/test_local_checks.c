/* SPDX-License-Identifier: Apache-2.0 */
/* agent/local_checks.c */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "agent/host_checks.h"
#include "agent/local_checks.h"

static char folder[] = "/tmp/test-local-checks-XXXXXX";
static char instances[128], snapshots[128], state_dir[128], uri[160], program_path[160];
static char socket_path[64];
static struct conf conf;
static int listener = -1;

/* A machine without device mapper. */
int __wrap_stat(const char *path, struct stat *st);
int __real_stat(const char *path, struct stat *st);

int __wrap_stat(const char *path, struct stat *st)
{
    if (strcmp(path, "/dev/mapper") != 0)
        return __real_stat(path, st);
    errno = ENOENT;
    return -1;
}

static void make_program(const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    (void)close(fd);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(instances, sizeof(instances), "%s/instances", folder);
    (void)snprintf(snapshots, sizeof(snapshots), "%s/instances/not/yet", folder);
    (void)snprintf(state_dir, sizeof(state_dir), "%s/state", folder);
    (void)snprintf(socket_path, sizeof(socket_path), "%s/sock", folder);
    (void)snprintf(uri, sizeof(uri), "qemu:///system?socket=%s", socket_path);
    assert_int_equal(mkdir(instances, 0755), 0);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    make_program("qemu-img");
    make_program("qemu-nbd");
    (void)snprintf(program_path, sizeof(program_path), "%s:/nowhere", folder);
    assert_int_equal(setenv("PATH", program_path, 1), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 5), 0);
    static char host[] = "h";
    conf.DEFAULT.instances_path = instances;
    conf.libvirt.snapshots_directory = snapshots;
    conf.libvirt.connection_uri = uri;
    conf.snapshot_agent.state_dir = state_dir;
    conf.DEFAULT.host = host;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[200];
    (void)snprintf(command, sizeof(command), "/bin/rm -rf %s", folder);
    return system(command);
}

static bool note(void *arg, const struct host_finding *finding)
{
    char *bad = arg;
    assert_true(finding->is_local);
    assert_true(finding->remedy[0] != '\0');
    assert_string_equal(finding->fact->text, ""); /* not asked for: it would run programs */
    if (finding->trouble) {
        size_t used = strlen(bad);
        (void)snprintf(bad + used, 1024 - used, "%s: %s; ", finding->name,
                       finding->trouble->message);
    }
    return true;
}

static bool is_serving;

static const char *troubles(void)
{
    static char bad[1024];
    bad[0] = '\0';
    const struct agent agent = {.conf = &conf};
    struct host_view view = {.agent = &agent, .is_serving = is_serving};
    unsigned n = host_checks_run(&view, HOST_CHECKS_LOCAL, note, bad);
    assert_int_equal(n == 0, bad[0] == '\0');
    return bad;
}

static void a_host_that_has_everything(void **state)
{
    (void)state;
    assert_string_equal(troubles(), "");
    assert_int_equal(access(snapshots, F_OK), -1); /* nothing was made */
}

static void each_missing_thing_is_told(void **state)
{
    (void)state;
    char nowhere[] = "/proc/nowhere/x", file[200], empty[] = "";
    (void)snprintf(file, sizeof(file), "%s/qemu-img", folder);
    conf.DEFAULT.instances_path = file;
    assert_non_null(strstr(troubles(), "[DEFAULT]instances_path: "));
    assert_non_null(strstr(troubles(), "is no folder"));
    conf.DEFAULT.instances_path = instances;
    conf.libvirt.snapshots_directory = file;
    assert_non_null(strstr(troubles(), "[libvirt]snapshots_directory: "));
    conf.libvirt.snapshots_directory = snapshots;
    conf.snapshot_agent.state_dir = nowhere;
    assert_true(strstr(troubles(), "[snapshot_agent]state_dir: ") || geteuid() == 0);
    conf.snapshot_agent.state_dir = state_dir;
    assert_int_equal(chmod(state_dir, 0777), 0);
    assert_non_null(strstr(troubles(), "[snapshot_agent]state_dir: "));
    assert_int_equal(chmod(state_dir, 0700), 0);
    assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
    assert_non_null(strstr(troubles(), "qemu-img: qemu-img is not to be found"));
    assert_non_null(strstr(troubles(), "qemu-nbd: "));
    assert_int_equal(setenv("PATH", program_path, 1), 0);
    (void)close(listener); /* the socket stays, nobody listens */
    assert_non_null(strstr(troubles(), "libvirt's socket: "));
    char remote[] = "qemu+tcp://elsewhere/system";
    conf.libvirt.connection_uri = remote; /* not to be told from here */
    assert_string_equal(troubles(), "");
    conf.libvirt.connection_uri = empty;
    (void)troubles();
}

/* Debian's package runs the agent as nova, and root looks. */
static void another_users_state_is_judged_as_its_own(void **state)
{
    (void)state;
    char user[LOCAL_CHECKS_USER_SIZE];
    if (geteuid() != 0) /* who may give nothing away */
        return;
    assert_false(local_checks_state_is_others(&conf, user));
    assert_int_equal(chown(state_dir, 4711, 4711), 0);
    assert_string_equal(troubles(), "");
    assert_true(local_checks_state_is_others(&conf, user));
    assert_string_equal(user, "a user without a name (4711)");
    is_serving = true; /* the agent itself has to be its owner */
    assert_non_null(strstr(troubles(), "belongs to user 4711 and has mode 0700: it must be user "
                                       "0's alone"));
    is_serving = false;
    assert_int_equal(chmod(state_dir, 0750), 0);
    assert_non_null(strstr(troubles(), "it must be user 4711's alone"));
    assert_int_equal(chmod(state_dir, 0700), 0);
    assert_int_equal(chown(folder, 4712, 4712), 0);
    assert_non_null(strstr(troubles(), "above it belongs to user 4712"));
    assert_int_equal(chown(folder, 0, 0), 0);
    assert_int_equal(chown(state_dir, 0, 0), 0);
    assert_string_equal(troubles(), "");
}

/* The unit shows none unless it is told to. */
static void disks_on_lvm_want_devices(void **state)
{
    (void)state;
    static char lvm[] = "lvm", rbd[] = "rbd";
    conf.libvirt.images_type = lvm;
    assert_non_null(strstr(troubles(), "[libvirt]images_type: see DISKS ON LVM in "));
    assert_non_null(strstr(troubles(), "/dev/mapper: No such file"));
    conf.libvirt.images_type = rbd;
    assert_null(strstr(troubles(), "images_type"));
    conf.libvirt.images_type = NULL;
}

static void the_holder_of_the_lock_is_told(void **state)
{
    (void)state;
    char path[200];
    int ready[2];
    (void)snprintf(path, sizeof(path), "%s/h.lock", state_dir);
    assert_int_equal(local_checks_lock_holder(&conf), 0);
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(local_checks_lock_holder(&conf), 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(local_checks_lock_holder(&conf), 0); /* our own */
    (void)close(fd);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int held = open(path, O_RDWR);
        _exit(held >= 0 && flock(held, LOCK_EX) == 0 && write(ready[1], "x", 1) == 1 && pause());
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(local_checks_lock_holder(&conf), child);
    (void)kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(local_checks_lock_holder(&conf), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_has_everything),
        cmocka_unit_test(another_users_state_is_judged_as_its_own),
        cmocka_unit_test(disks_on_lvm_want_devices),
        cmocka_unit_test(each_missing_thing_is_told),
        cmocka_unit_test(the_holder_of_the_lock_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
