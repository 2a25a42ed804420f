/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/image/image_stream.c and what is below it, against a qemu-nbd: the image is what qemu-img
 * makes of the same disk, its size is known before, and it is the same again after a rewind.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cancel.h"
#include "common/clock.h"
#include "driver/image/image_stream.h"
#include "driver/image/nbd_launch.h"
#include "driver/image/qcow2_layout.h"
#include "driver/image/qcow2_mark.h"
#include "tests/unit/canceller.h"
#include "tests/unit/driver/temp_folder.h"

#define MIB (UINT64_C(1) << 20)
#define READ_BYTES 100000 /* no multiple of anything */

static struct error err;
static bool refuses_direct_io;

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *format, ...)
{
    char command[4096];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(command, sizeof(command), format, ap);
    va_end(ap);
    return system(command); /* NOLINT(concurrency-mt-unsafe,cert-env33-c) */
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    refuses_direct_io = false;
    return 0;
}

int __real_nbd_launch(const char *const *argv, enum process_sandbox sandbox,
                      unsigned stall_timeout_s, struct nbd_client **ret_client,
                      struct error *error);
int __wrap_nbd_launch(const char *const *argv, enum process_sandbox sandbox,
                      unsigned stall_timeout_s, struct nbd_client **ret_client,
                      struct error *error);

int __wrap_nbd_launch(const char *const *argv, enum process_sandbox sandbox,
                      unsigned stall_timeout_s, struct nbd_client **ret_client, struct error *error)
{
    for (const char *const *argument = argv; refuses_direct_io && *argument; argument++)
        if (strcmp(*argument, "none") == 0)
            return error_set(error, EIO, EXC_INTERNAL_ERROR, "O_DIRECT is not supported");
    return __real_nbd_launch(argv, sandbox, stall_timeout_s, ret_client, error);
}

/* Of a disk in `format`, at most `bytes_per_s`, as image `target`; may fail. */
static int try_stream(const char *disk, const char *format, const char *target,
                      uint64_t bytes_per_s, struct image_source **ret_source)
{
    const struct image_stream_disk shown = {disk, format, bytes_per_s, 20};
    return image_stream_of_disk(&shown, target, ret_source, &err);
}

static struct image_source *open_stream(const char *disk, const char *format, const char *target)
{
    struct image_source *source = NULL;
    if (try_stream(disk, format, target, 0, &source) < 0)
        fail_msg("%s", err.message);
    return source;
}

/* Reads all there is, into a file. Returns how much. */
static uint64_t save(struct image_source *source, const char *path)
{
    static char buffer[READ_BYTES];
    uint64_t total = 0;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (ssize_t n; (n = source->ops->read(source, buffer, sizeof(buffer), &err)) != 0;) {
        if (n < 0)
            fail_msg("%s", err.message);
        assert_int_equal(fwrite(buffer, 1, (size_t)n, file), n);
        total += (uint64_t)n;
    }
    assert_int_equal(fclose(file), 0);
    return total;
}

static void assert_streams(const char *disk, const char *format, const char *target)
{
    char image[512], again[512];
    (void)snprintf(image, sizeof(image), "%s", temp_path("image"));
    (void)snprintf(again, sizeof(again), "%s", temp_path("again"));
    struct image_source *source = open_stream(disk, format, target);
    assert_int_equal(save(source, image), source->size_bytes);
    assert_int_equal(source->ops->rewind(source, &err), 0);
    (void)save(source, again);
    image_source_close(source);
    assert_int_equal(run("cmp -s %s %s", image, again), 0);
    if (strcmp(target, "qcow2") == 0)
        assert_int_equal(run("qemu-img check -q -f qcow2 %s", image), 0);
    assert_int_equal(run("qemu-img compare -q -f %s -F %s %s %s", format, target, disk, image), 0);
}

static uint64_t bytes_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void disks_of_all_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *format, *size, *commands; /* of qemu-io */
    } disks[] = {
        {"qcow2", "64M", ""},
        {"qcow2", "64M", "-c 'write -P 1 0 64M'"},
        {"raw", "64M", "-c 'write -P 1 10M 20M'"},
        {"qcow2", "33554944", "-c 'write -P 2 33554432 512'"}, /* ends in the middle of a cluster */
        {"raw", "512", "-c 'write -P 3 0 512'"},
        {"qcow2", "600M", "-c 'write -P 4 0 64k' -c 'write -P 5 64M 64k' -c 'write -P 6 599M 1M'"},
        {"qcow2", "3T", "-c 'write -P 7 1T 1M' -c 'write -P 8 2T 4096' -c 'write -z 2T 2048'"},
    };
    char disk[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    for (size_t i = 0; i < sizeof(disks) / sizeof(disks[0]); i++) {
        const char *format = disks[i].format;
        assert_int_equal(run("qemu-img create -q -f %s %s %s", format, disk, disks[i].size), 0);
        if (disks[i].commands[0])
            assert_int_equal(run("qemu-io -f %s %s %s >/dev/null", format, disks[i].commands, disk),
                             0);
        assert_streams(disk, format, "qcow2");
        if (strcmp(disks[i].size, "3T") != 0)
            assert_streams(disk, format, "raw");
    }
}

/* Every fourth cluster: more requests than there are slots, each a small one. */
static void scattered_chain(void **state)
{
    (void)state;
    char disk[512], base[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    (void)snprintf(base, sizeof(base), "%s", temp_path("base"));
    assert_int_equal(run("qemu-img create -q -f raw %s 64M && "
                         "qemu-io -f raw -c 'write -P 9 3M 5M' %s >/dev/null && "
                         "qemu-img create -q -f qcow2 -b %s -F raw %s",
                         base, base, base, disk),
                     0);
    assert_int_equal(run("for i in $(seq 0 256 65535); do echo write -P $((i / 256)) ${i}k 64k; "
                         "done | qemu-io -f qcow2 %s >/dev/null",
                         disk),
                     0);
    assert_streams(disk, "qcow2", "qcow2");
    assert_streams(disk, "qcow2", "raw");
}

/* Only who looks can know that they are zeroes. */
static void written_zeroes(void **state)
{
    (void)state;
    char disk[512], image[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    (void)snprintf(image, sizeof(image), "%s", temp_path("image"));
    assert_int_equal(run("qemu-img create -q -f qcow2 %s 33554944 && "
                         "qemu-io -f qcow2 -c 'write -P 0 0 33554944' -c 'write -P 1 5M 1M' "
                         "-c 'write -P 1 20000000 1' %s >/dev/null",
                         disk, disk),
                     0);
    assert_streams(disk, "qcow2", "qcow2");
    assert_true(bytes_of(image) < 2 * MIB);
    assert_streams(disk, "qcow2", "raw");
}

/* Looking for zeroes is reading the disk: 16 MiB at 16 MiB/s. */
static void zeroes_at_a_limited_rate(void **state)
{
    (void)state;
    char disk[512];
    struct image_source *source = NULL;
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    assert_int_equal(run("qemu-img create -q -f qcow2 %s 16M && "
                         "qemu-io -f qcow2 -c 'write -P 0 0 16M' %s >/dev/null",
                         disk, disk),
                     0);
    uint64_t begin_ms = clock_now_ms();
    assert_int_equal(try_stream(disk, "qcow2", "qcow2", 16 * MIB, &source), 0);
    assert_true(clock_now_ms() - begin_ms >= 900);
    image_source_close(source);
}

/* Half of a stream may be all that anybody wants. */
static void left_in_the_middle(void **state)
{
    (void)state;
    char disk[512], buffer[4096];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    assert_int_equal(run("qemu-img create -q -f raw %s 64M && "
                         "qemu-io -f raw -c 'write -P 1 0 64M' %s >/dev/null",
                         disk, disk),
                     0);
    for (unsigned reads = 0; reads < 200; reads += 50) {
        struct image_source *source = open_stream(disk, "raw", "raw");
        for (unsigned i = 0; i < reads; i++)
            assert_int_equal(source->ops->read(source, buffer, sizeof(buffer), &err), 4096);
        assert_int_equal(source->ops->rewind(source, &err), 0);
        assert_int_equal(source->ops->read(source, buffer, sizeof(buffer), &err), 4096);
        image_source_close(source);
    }
}

static void fill(const char *disk, unsigned mib)
{
    assert_int_equal(run("qemu-img create -q -f raw %s %uM && "
                         "qemu-io -f raw -c 'write -P 1 0 %uM' %s >/dev/null",
                         disk, mib, mib, disk),
                     0);
}

static int read_all(struct image_source *source)
{
    static char buffer[READ_BYTES];
    ssize_t n;
    while ((n = source->ops->read(source, buffer, sizeof(buffer), &err)) > 0)
        ;
    return (int)n;
}

static void a_server_that_is_missing(void **state)
{
    (void)state;
    static const char *const argv[] = {"/nonexistent/qemu-nbd", NULL};
    struct nbd_client *client = NULL;
    assert_int_equal(nbd_launch(argv, PROCESS_SANDBOX_FILES, 20, &client, &err), -ENOENT);
    assert_null(client);
    assert_string_equal(err.exc, EXC_OS_ERROR);
    err = (struct error)ERROR_INIT;
    assert_int_equal(nbd_client_new(20, &client, &err), 0);
    assert_true(nbd_client_connect(client, temp_path("nothing"), "vda", &err) < 0);
    nbd_client_free(client);
}

/* What keeps it from showing the disk is told, and not without bound. */
static void a_server_that_refuses(void **state)
{
    (void)state;
    static const char *const long_winded[] = {
        "sh", "-c",
        "i=0; while [ $i -lt 9999 ]; do i=$((i + 1)); echo $i no; done >&2; echo last >&2", NULL};
    struct image_source *source = NULL;
    struct nbd_client *client = NULL;
    char disk[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 1);
    assert_int_equal(try_stream(disk, "qcow2", "raw", 0, &source), -EIO);
    assert_non_null(strstr(err.message, "(qemu-nbd: "));
    assert_non_null(strstr(err.message, "Image is not in qcow2 format"));
    assert_null(source);
    err = (struct error)ERROR_INIT;
    assert_true(nbd_launch(long_winded, PROCESS_SANDBOX_FILES, 20, &client, &err) <
                0); /* it was not held up */
    assert_non_null(strstr(err.message, " no "));
    assert_true(strlen(err.message) < 800);
}

/* QEMU's own names are made of them. */
static void a_path_of_odd_characters(void **state)
{
    (void)state;
    char disk[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("json:{a,b\"c=d\\e: f\tg"));
    int fd = open(disk, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 3 * 65536), 0);
    assert_int_equal(pwrite(fd, "data", 4, 65536), 4);
    (void)close(fd);
    struct image_source *source = open_stream(disk, "raw", "raw");
    assert_int_equal(save(source, temp_path("image")), 3 * 65536);
    image_source_close(source);
    char text[5] = "";
    fd = open(temp_path("image"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, text, 4, 65536), 4);
    (void)close(fd);
    assert_string_equal(text, "data");
}

/* As those of disks in Ceph: QEMU knows what they begin with. */
static void a_name_of_a_protocol(void **state)
{
    (void)state;
    char name[512];
    (void)snprintf(name, sizeof(name), "file:%s", temp_path("disk"));
    fill(name + strlen("file:"), 1);
    struct image_source *source = open_stream(name, "raw", "raw");
    assert_int_equal(save(source, temp_path("image")), 1 << 20);
    image_source_close(source);
    assert_int_equal(run("cmp -s %s %s", name + strlen("file:"), temp_path("image")), 0);
}

/* Nova starts the guest whose disk is read. */
static void others_may_write_to_the_disk(void **state)
{
    (void)state;
    char disk[512], base[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    (void)snprintf(base, sizeof(base), "%s", temp_path("base"));
    fill(base, 4);
    assert_int_equal(run("qemu-img create -q -f qcow2 -b %s -F raw %s", base, disk), 0);
    struct image_source *source = open_stream(disk, "qcow2", "qcow2");
    assert_int_equal(run("qemu-io -f qcow2 -c 'write -P 2 0 64k' %s >/dev/null", disk), 0);
    assert_int_equal(run("qemu-io -f raw -c 'write -P 2 0 64k' %s >/dev/null", base), 0);
    image_source_close(source);
}

/* Neither a shell nor setpriv, which is another one on every distribution. */
static void nothing_but_the_server_is_needed(void **state)
{
    (void)state;
    char disk[512], tools[512], before[4096];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    (void)snprintf(tools, sizeof(tools), "%s", temp_path("tools"));
    (void)snprintf(before, sizeof(before), "%s",
                   getenv("PATH")); /* NOLINT(concurrency-mt-unsafe) */
    fill(disk, 1);
    assert_int_equal(run("mkdir %s && ln -s $(command -v qemu-nbd) %s/", tools, tools), 0);
    assert_int_equal(setenv("PATH", tools, 1), 0); /* NOLINT(concurrency-mt-unsafe) */
    struct image_source *source = NULL;
    int r = try_stream(disk, "raw", "raw", 0, &source);
    assert_int_equal(setenv("PATH", before, 1), 0); /* NOLINT(concurrency-mt-unsafe) */
    if (r < 0)
        fail_msg("%s", err.message);
    assert_int_equal(read_all(source), 0);
    image_source_close(source);
}

/* The socket has no file; who asks for its name, which is anybody's, gets nothing of the disk. */
static void a_connection_that_is_ours_alone(void **state)
{
    (void)state;
    char disk[512], line[256];
    unsigned long flags = 0;
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 1);
    int files = run("ls -d /tmp/libnbd* >/dev/null 2>&1");
    struct image_source *source = open_stream(disk, "raw", "raw");
    assert_int_equal(run("ls -d /tmp/libnbd* >/dev/null 2>&1"), files);
    FILE *sockets = fopen("/proc/net/unix", "re");
    assert_non_null(sockets);
    while (fgets(line, sizeof(line), sockets)) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        char text[64] = "";
        char byte;
        if (sscanf(line, "%*s %*s %*s %lx %*s %*s %*s @%62s", &flags, text) != 2 ||
            strlen(text) != 5)
            continue; /* an autobound one */
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        memcpy(name.sun_path + 1, text, 5);
        if (connect(fd, (struct sockaddr *)&name, sizeof(name.sun_family) + 6) == 0) {
            struct pollfd entry = {.fd = fd, .events = POLLIN};
            if (poll(&entry, 1, 200) > 0)
                assert_true(recv(fd, &byte, 1, 0) <= 0); /* no greeting */
        }
        (void)close(fd);
    }
    (void)fclose(sockets);
    assert_int_equal(read_all(source), 0);
    image_source_close(source);
}

/* The one child there is; the kernel's list may miss it when it is read at the wrong moment. */
static pid_t child_of(pid_t parent)
{
    char path[64], line[32] = "";
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
    for (unsigned i = 0; i < 1000 && line[0] == '\0'; i++) {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        if (!fgets(line, sizeof(line), file))
            (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        fclose(file);
    }
    assert_string_not_equal(line, "");
    return (pid_t)strtol(line, NULL, 10);
}

/* How the process has opened the file. */
static int flags_of(pid_t pid, const char *path)
{
    char name[64], target[512], line[128];
    int flags = 0;
    for (int fd = 0; fd < 64; fd++) {
        (void)snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, fd);
        ssize_t length = readlink(name, target, sizeof(target));
        if (length != (ssize_t)strlen(path) || memcmp(target, path, (size_t)length) != 0)
            continue;
        (void)snprintf(name, sizeof(name), "/proc/%d/fdinfo/%d", pid, fd);
        FILE *file = fopen(name, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file))
            if (strncmp(line, "flags:", 6) == 0)
                flags = (int)strtol(line + 6, NULL, 8);
        (void)fclose(file);
    }
    return flags;
}

static void around_the_page_cache(void **state)
{
    (void)state;
    char disk[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 1);
    int fd = open(disk, O_RDONLY | O_DIRECT | O_CLOEXEC);
    struct image_source *source = open_stream(disk, "raw", "raw");
    int flags = flags_of(child_of(getpid()), disk);
    assert_int_not_equal(flags, 0);
    assert_int_equal((flags & O_DIRECT) != 0, fd >= 0);
    image_source_close(source);
    if (fd >= 0)
        (void)close(fd);
}

/* The disk's own file may be read around the page cache, its base not. */
static void a_base_that_needs_the_page_cache(void **state)
{
    (void)state;
    char disk[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 1);
    refuses_direct_io = true;
    assert_streams(disk, "raw", "qcow2");
    struct image_source *source = open_stream(disk, "raw", "raw");
    assert_int_equal(flags_of(child_of(getpid()), disk) & O_DIRECT, 0);
    image_source_close(source);
}

/* As when a guest ends in the middle: what is lost is never taken for the end. */
static void a_server_that_dies(void **state)
{
    (void)state;
    char disk[512], buffer[4096];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 64);
    struct image_source *source = open_stream(disk, "raw", "qcow2");
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(source->ops->read(source, buffer, sizeof(buffer), &err), 4096);
    assert_int_equal(kill(child_of(getpid()), SIGKILL), 0);
    int r = read_all(source);
    if (r >= 0)
        fail_msg("all was read: %d", r);
    assert_true(source->ops->rewind(source, &err) < 0 || read_all(source) < 0);
    image_source_close(source);
}

/* The connection breaks while a read is asked for, not while its answer is waited for. */
static void a_server_that_died_unnoticed(void **state)
{
    (void)state;
    char disk[512];
    siginfo_t info;
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 1);
    struct image_source *source = open_stream(disk, "raw", "raw");
    assert_int_equal(read_all(source), 0);
    pid_t server = child_of(getpid());
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)server, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(source->ops->rewind(source, &err), 0);
    assert_true(read_all(source) < 0);
    image_source_close(source);
}

static bool is_alive(pid_t pid, const char *name)
{
    char path[64], line[256] = "", want[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    (void)snprintf(want, sizeof(want), "(%s) ", name);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const char *found = fgets(line, sizeof(line), file) ? strstr(line, want) : NULL;
    (void)fclose(file);
    return found && found[strlen(want)] != 'Z';
}

static void await_life(pid_t pid, const char *name, bool alive)
{
    for (unsigned i = 0; i < 1000 && is_alive(pid, name) != alive; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(is_alive(pid, name), alive);
}

/* A server that has not answered yet does not outlive who has started it. */
static void a_client_that_dies(void **state)
{
    static const char *const argv[] = {"sleep", "60", NULL};
    struct nbd_client *client = NULL;
    (void)state;
    pid_t child = fork();
    if (child == 0)
        _exit(nbd_launch(argv, PROCESS_SANDBOX_FILES, 60, &client, &err));
    assert_true(child > 0);
    pid_t server = child_of(child);
    await_life(server, "sleep", true);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    await_life(server, "sleep", false);
}

static void a_server_that_hangs(void **state)
{
    (void)state;
    char disk[512];
    struct nbd_client *client = NULL;
    struct image_source *source = NULL;
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 64);
    const char *const argv[] = {"qemu-nbd", "--read-only", "--format", "raw", disk, NULL};
    assert_int_equal(nbd_launch(argv, PROCESS_SANDBOX_FILES, 1, &client, &err), 0);
    assert_int_equal(image_stream_open(client, "raw", 0, &source, &err), 0);
    pid_t server = child_of(getpid());
    assert_int_equal(kill(server, SIGSTOP), 0);
    assert_true(read_all(source) < 0);
    assert_int_equal(err.errnum, ETIMEDOUT);
    image_source_close(source);
}

static void a_cancelled_read(void **state)
{
    (void)state;
    char disk[512];
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("disk"));
    fill(disk, 64);
    struct image_source *source = open_stream(disk, "raw", "raw");
    pid_t server = child_of(getpid());
    assert_int_equal(kill(server, SIGSTOP), 0);
    struct canceller canceller;
    canceller_enter(&canceller);
    canceller_start(&canceller, -1);
    assert_cancelled(read_all(source), &err);
    canceller_join(&canceller);
    canceller_leave(&canceller);
    image_source_close(source);
}

static void assert_marks(const char *path, const char *own, const char *base)
{
    struct qcow2_marks marks;
    assert_int_equal(qcow2_mark_read(path, &marks, &err), 0);
    assert_string_equal(marks.own, own);
    assert_string_equal(marks.base, base);
}

/* As a backup job shows it: what a bitmap has is taken, zeroes too, and nothing else. */
static void a_layer_of_what_a_bitmap_tells(void **state)
{
    (void)state;
    char base[256], disk[256], layer[256], socket[256], pid_file[256];
    struct nbd_client *client = NULL;
    struct image_source *source = NULL;
    const struct qcow2_backing backing = {"layer-base", "qcow2", "41.vda"};
    (void)snprintf(base, sizeof(base), "%s", temp_path("layer-base"));
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("layer-disk"));
    (void)snprintf(layer, sizeof(layer), "%s", temp_path("layer"));
    (void)snprintf(socket, sizeof(socket), "%s", temp_path("layer-socket"));
    (void)snprintf(pid_file, sizeof(pid_file), "%s", temp_path("layer-pid"));
    assert_int_equal(run("qemu-img create -q -f qcow2 %s 33M && "
                         "qemu-io -f qcow2 -c 'write -q -P 1 0 8M' %s && cp %s %s && "
                         "qemu-img bitmap --add %s since && qemu-io -f qcow2 "
                         "-c 'write -q -P 2 1M 100k' -c 'write -q -z 4M 1M' "
                         "-c 'write -q -P 3 32M 1M' %s",
                         base, base, base, disk, disk, disk),
                     0);
    assert_int_equal(run("qemu-nbd --fork --pid-file=%s -r -k %s -x vda -B since -f qcow2 %s",
                         pid_file, socket, disk),
                     0);
    assert_int_equal(nbd_client_new(20, &client, &err), 0);
    assert_int_equal(nbd_client_ask_bitmap(client, "since", &err), 0);
    assert_int_equal(nbd_client_connect(client, socket, "vda", &err), 0);
    assert_int_equal(image_stream_open_marked(client, &backing, "42.vda", &source, &err), 0);
    assert_int_equal(save(source, layer), source->size_bytes);
    image_source_close(source); /* whose only client it was: the server ends */
    assert_int_equal(
        run("qemu-img check -q -f qcow2 %s && qemu-img compare -q %s %s", layer, layer, disk), 0);
    assert_int_equal(run("qemu-img info %s | grep -q '^backing file: layer-base ' && "
                         "qemu-img info %s | grep -q '^backing file format: qcow2'",
                         layer, layer),
                     0);
    assert_true(bytes_of(layer) < 3 * MIB); /* 2.2 MiB were written since */
    assert_marks(layer, "42.vda", "41.vda");
    assert_int_equal(run("qemu-img rebase -q -u -f qcow2 -b %s -F qcow2 %s", base, layer), 0);
    assert_marks(layer, "42.vda", "41.vda"); /* QEMU has written the header anew */
    assert_marks(base, "", "");              /* of another's image */
}

static void a_bitmap_that_there_is_not(void **state)
{
    (void)state;
    char disk[256], socket[256];
    struct nbd_client *client = NULL;
    struct image_source *source = NULL;
    const struct qcow2_backing backing = {"base", "qcow2", NULL};
    (void)snprintf(disk, sizeof(disk), "%s", temp_path("no-bitmap"));
    (void)snprintf(socket, sizeof(socket), "%s", temp_path("no-bitmap-socket"));
    assert_int_equal(run("qemu-img create -q -f qcow2 %s 1M && "
                         "qemu-nbd --fork -r -k %s -x vda -f qcow2 %s",
                         disk, socket, disk),
                     0);
    assert_int_equal(nbd_client_new(20, &client, &err), 0);
    assert_int_equal(nbd_client_ask_bitmap(client, "since", &err), 0);
    assert_int_equal(nbd_client_connect(client, socket, "vda", &err), 0);
    assert_int_equal(image_stream_open_marked(client, &backing, "42.vda", &source, &err), -ENOTSUP);
    nbd_client_free(client);
    char longest[200];
    memset(longest, 'b', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    err = (struct error)ERROR_INIT;
    assert_int_equal(nbd_client_new(20, &client, &err), 0);
    assert_int_equal(nbd_client_ask_bitmap(client, longest, &err), -ENAMETOOLONG);
    nbd_client_free(client);
}

/* The sizes of the format itself: more than one refcount block, more than one L1 cluster. */
static void layouts_of_large_disks(void **state)
{
    (void)state;
    struct extent_map *map = NULL;
    struct qcow2_layout layout;
    assert_int_equal(extent_map_new(UINT64_C(8) << 40, &map, &err), 0);
    qcow2_layout_plan(map, &layout);
    assert_int_equal(layout.l1_entries, 8 << 11);
    assert_int_equal(layout.l2_tables - layout.l1_table, 2);
    assert_int_equal(layout.clusters, 1 + 1 + 1 + 2);
    extent_map_add(map, 0, UINT64_C(4) << 40);
    qcow2_layout_plan(map, &layout);
    uint64_t data = UINT64_C(4) << 24, tables = 4 << 11;
    assert_int_equal(layout.data_clusters, data);
    assert_int_equal(layout.data - layout.l2_tables, tables);
    uint64_t blocks = layout.l1_table - layout.refcount_blocks;
    assert_true(blocks * 32768 >= layout.clusters && (blocks - 1) * 32768 < layout.clusters);
    assert_int_equal(layout.clusters, layout.data + data);
    extent_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(disks_of_all_kinds, set_up),
        cmocka_unit_test_setup(a_layer_of_what_a_bitmap_tells, set_up),
        cmocka_unit_test_setup(a_bitmap_that_there_is_not, set_up),
        cmocka_unit_test_setup(scattered_chain, set_up),
        cmocka_unit_test_setup(written_zeroes, set_up),
        cmocka_unit_test_setup(zeroes_at_a_limited_rate, set_up),
        cmocka_unit_test_setup(left_in_the_middle, set_up),
        cmocka_unit_test_setup(around_the_page_cache, set_up),
        cmocka_unit_test_setup(a_base_that_needs_the_page_cache, set_up),
        cmocka_unit_test_setup(a_server_that_is_missing, set_up),
        cmocka_unit_test_setup(a_server_that_refuses, set_up),
        cmocka_unit_test_setup(a_path_of_odd_characters, set_up),
        cmocka_unit_test_setup(a_name_of_a_protocol, set_up),
        cmocka_unit_test_setup(others_may_write_to_the_disk, set_up),
        cmocka_unit_test_setup(nothing_but_the_server_is_needed, set_up),
        cmocka_unit_test_setup(a_connection_that_is_ours_alone, set_up),
        cmocka_unit_test_setup(a_server_that_dies, set_up),
        cmocka_unit_test_setup(a_server_that_died_unnoticed, set_up),
        cmocka_unit_test_setup(a_client_that_dies, set_up),
        cmocka_unit_test_setup(a_server_that_hangs, set_up),
        cmocka_unit_test_setup(a_cancelled_read, set_up),
        cmocka_unit_test_setup(layouts_of_large_disks, set_up),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
