/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/block/disk_iothread.c and driver/libvirt/qemu_process.c: which disks an iothread serves,
 * and what is known of the QEMU that runs.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libvirt/virterror.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/process.h"
#include "driver/block/disk_iothread.h"
#include "driver/libvirt/qemu_process.h"
#include "tests/unit/driver/temp_folder.h"

#define DOMAIN(devices)                                                                            \
    "<domain><iothreads>2</iothreads><devices><emulator>/usr/bin/qemu</emulator>" devices          \
    "</devices></domain>"
#define DISK(driver, target, bus)                                                                  \
    "<disk type='file'><driver name='qemu'" driver "<target dev='" target "' bus='" bus "'/>"      \
    "<address type='drive' controller='1' bus='0'/></disk>"
#define PLAIN " type='qcow2'/>"
#define OWN " type='qcow2' iothread='1'/>"
#define MAPPING " type='qcow2'><iothreads><iothread id='1'/></iothreads></driver>"
#define SCSI(index, driver) "<controller type='scsi' index='" index "'>" driver "</controller>"

static struct error err;
static const char *definition; /* of the domain; NULL: libvirt does not tell */
static unsigned running;       /* version; 0: not known */

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    definition = DOMAIN(DISK(OWN, "vda", "virtio"));
    running = 0;
    return 0;
}

/* libvirt has none before it is initialized, and must not be asked. */
virErrorPtr __wrap_virGetLastError(void);
virErrorPtr __wrap_virGetLastError(void)
{
    return NULL;
}

char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags);
char *__wrap_virDomainGetXMLDesc(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    assert_int_equal(flags, 0); /* the live one */
    return definition ? strdup(definition) : NULL;
}

const char *__wrap_virDomainGetName(virDomainPtr domain);
const char *__wrap_virDomainGetName(virDomainPtr domain)
{
    (void)domain;
    return "instance-1";
}

int __real_qemu_process_version(const char *pid_directory, const char *name, const char *emulator,
                                unsigned *ret_version, struct error *error);
int __wrap_qemu_process_version(const char *pid_directory, const char *name, const char *emulator,
                                unsigned *ret_version, struct error *error);
int __wrap_qemu_process_version(const char *pid_directory, const char *name, const char *emulator,
                                unsigned *ret_version, struct error *error)
{
    assert_string_equal(pid_directory, "/run/libvirt/qemu");
    assert_string_equal(name, "instance-1");
    assert_string_equal(emulator, "/usr/bin/qemu");
    if (running == 0)
        return error_set(error, EIO, EXC_INTERNAL_ERROR, "it hides");
    *ret_version = running;
    return 0;
}

static void a_disk_its_controller_or_a_mapping(void **state)
{
    static const struct {
        const char *xml;
        bool mapped;
    } cases[] = {
        {DOMAIN(DISK(PLAIN, "vda", "virtio")), false},
        {DOMAIN(DISK(OWN, "vda", "virtio")), true},
        {DOMAIN(DISK(MAPPING, "vda", "virtio")), true},
        {DOMAIN(DISK(PLAIN, "vda", "virtio") DISK(OWN, "vdb", "virtio")), false},
        {DOMAIN(DISK(OWN, "vdb", "virtio") DISK(PLAIN, "vda", "virtio")), false},
        {DOMAIN(SCSI("1", "<driver iothread='2'/>") DISK(PLAIN, "vda", "scsi")), true},
        {DOMAIN(SCSI("0", "<driver iothread='2'/>") SCSI("1", "") DISK(PLAIN, "vda", "scsi")),
         false},
        {DOMAIN(SCSI("1", "<driver><iothreads/></driver>") DISK(PLAIN, "vda", "scsi")), true},
        {DOMAIN(SCSI("1", "<driver iothread='2'/>") DISK(PLAIN, "vda", "virtio")), false},
        {DOMAIN(SCSI("7", "<driver iothread='2'/>") "<disk><target dev='vda' bus='scsi'/></disk>"),
         true}, /* it is not told which controller */
    };
    (void)state;
    struct disk_iothread_facts facts;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(disk_iothread_read(cases[i].xml, "vda", &facts, &err), 0);
        assert_int_equal(facts.mapped, cases[i].mapped);
        assert_string_equal(facts.emulator, "/usr/bin/qemu");
        assert_int_equal(facts.machine_version, 0);
    }
    assert_int_equal(disk_iothread_read(DOMAIN(""), "vda", &facts, &err), -EINVAL);
    assert_int_equal(disk_iothread_read("<domain>", "vda", &facts, &err), -EINVAL);
}

static void a_machine_that_came_with_a_good_qemu(void **state)
{
    static const struct {
        const char *machine;
        bool good;
    } machines[] = {
        {"pc-i440fx-10.0", true}, {"pc-q35-9.0", true}, {"virt-9.2", true},
        {"pc-q35-8.2", false},    {"pc", false},        {"q35", false},
        {"pc-q35-noble", false},  {"pc-q35-10", false}, {"pc-q35-rhel9.4.0", false},
        {"microvm", false},       {"", false},
    };
    static char xml[1024];
    (void)state;
    for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        (void)snprintf(
            xml, sizeof(xml),
            "<domain><os><type machine='%s'>hvm</type></os><devices>"
            "<emulator>/usr/bin/qemu</emulator>" DISK(OWN, "vda", "virtio") "</devices></domain>",
            machines[i].machine);
        definition = xml;
        assert_int_equal(disk_iothread_check(NULL, "vda", &err),
                         machines[i].good ? 0 : -EOPNOTSUPP);
    }
}

static void shown_by_a_qemu_that_is_known_to_bear_it(void **state)
{
    (void)state;
    static const struct {
        unsigned version;
        const char *told;
    } bad[] = {{0, "which runs is not known, it hides"},
               {QEMU_VERSION(7, 2, 22), ": 7.2.22 runs"},
               {QEMU_VERSION(8, 2, 10), ": 8.2.10 runs"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        running = bad[i].version;
        assert_int_equal(disk_iothread_check(NULL, "vda", &err), -EOPNOTSUPP);
        assert_non_null(strstr(err.message, "disk vda has an iothread"));
        assert_non_null(strstr(err.message, bad[i].told));
    }
    running = QEMU_VERSION(9, 0, 0);
    assert_int_equal(disk_iothread_check(NULL, "vda", &err), 0);
    running = QEMU_VERSION(10, 0, 13);
    assert_int_equal(disk_iothread_check(NULL, "vda", &err), 0);
    running = 0; /* nobody asks */
    definition = DOMAIN(DISK(PLAIN, "vda", "virtio"));
    assert_int_equal(disk_iothread_check(NULL, "vda", &err), 0);
    definition = NULL;
    assert_int_equal(disk_iothread_check(NULL, "vda", &err), -EIO);
}

static const char *said; /* by the emulator that is asked for its version */

int __wrap_process_run(const struct process_options *options, char **ret_output,
                       size_t *ret_output_size, struct error *error);
int __wrap_process_run(const struct process_options *options, char **ret_output,
                       size_t *ret_output_size, struct error *error)
{
    (void)error;
    assert_string_equal(options->argv[0], "/usr/bin/sleep");
    assert_string_equal(options->argv[1], "--version");
    assert_null(options->argv[2]);
    *ret_output = strdup(said);
    *ret_output_size = strlen(said);
    return 0;
}

static void write_pid(int pid)
{
    FILE *file = fopen(temp_path("guest.pid"), "we");
    assert_non_null(file);
    (void)fprintf(file, "%d", pid);
    assert_int_equal(fclose(file), 0);
}

static int ask(const char *emulator, unsigned *ret_version)
{
    err = (struct error)ERROR_INIT;
    return __real_qemu_process_version(temp_folder, "guest", emulator, ret_version, &err);
}

/* In the place of QEMU: a program of root's that runs until it is killed. */
static void the_running_process_counts(void **state)
{
    (void)state;
    static const char emulator[] = "/usr/bin/sleep";
    unsigned version = 0, other = 0;
    said = "QEMU emulator version 9.1.2 (qemu-kvm-9.1.2-3.el9)\nCopyright";
    assert_int_equal(ask(emulator, &version), -EIO); /* no pid is told */
    assert_non_null(strstr(err.message, "not known"));
    write_pid(getpid());
    assert_int_equal(ask(emulator, &version), -EIO); /* another program */
    assert_non_null(strstr(err.message, "installed anew"));
    assert_int_equal(version, 0);

    pid_t child = fork();
    if (child == 0) {
        (void)execl(emulator, emulator, "60", NULL);
        _exit(127);
    }
    write_pid(child);
    int r = -1;
    for (unsigned i = 0; i < 1000 && r < 0; i++) { /* until the child has come to it */
        r = ask(emulator, &version);
        if (r < 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    said = "sleep 9.1";
    assert_int_equal(ask(emulator, &other), -EIO);
    assert_non_null(strstr(err.message, "tells no version"));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(r, 0);
    assert_int_equal(version, QEMU_VERSION(9, 1, 2));
    said = "QEMU emulator version 9.1.2";
    assert_true(ask(emulator, &other) < 0);
    write_pid(1);
    assert_true(ask(emulator, &other) < 0);
}

/* It is run with the agent's rights: it is not asked. */
static void an_emulator_that_anybody_may_write(void **state)
{
    (void)state;
    unsigned version = 0;
    const char *emulator = temp_path("emulator");
    FILE *file = fopen(emulator, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(emulator, 0777), 0);
    write_pid(getpid());
    assert_int_equal(ask(emulator, &version), -EIO);
    assert_non_null(strstr(err.message, "may be written"));
    assert_int_equal(ask("/nonexistent/qemu", &version), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_disk_its_controller_or_a_mapping, set_up),
        cmocka_unit_test_setup(a_machine_that_came_with_a_good_qemu, set_up),
        cmocka_unit_test_setup(shown_by_a_qemu_that_is_known_to_bear_it, set_up),
        cmocka_unit_test_setup(the_running_process_counts, set_up),
        cmocka_unit_test_setup(an_emulator_that_anybody_may_write, set_up),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
