/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole operating system of a guest that writes, /init of its initramfs. It finds its root disk
 * by the label in the first block, whatever the disk's name, and writes record 1, 2, 3... one after
 * the other, each on stable storage before the next begins: what the disk holds at any instant are
 * the records 1 to k and nothing of a later one. Record n is the block of 4 KiB that repeats
 * {magic, n}, in slot n * 2731 % 4096 of the 16 MiB behind the first 8 MiB. (lib/prefix.py checks.)
 * On a disk with a label of its own, if there is one, it writes the same behind it: of any instant,
 * that disk's last record is the root disk's, or the one before, which is made up for at the next
 * boot.
 *
 * Tells on its console "boot n" when it starts behind record n, "written n" ten times a second, and
 * "lost before n" when it finds there what it has not left there: the disk is not that of its
 * memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define SLOTS 4096
#define STRIDE 2731
#define FIRST ((off_t)8 << 20)
#define PAUSE_US 2000
#define MAGIC 0x64726f6365722061 /* "a record" */

static const char label[] = "root of a writing guest";
static const char second_label[] = "other of a writing guest";
static uint64_t block[BLOCK / 8] __attribute__((aligned(BLOCK)));

static off_t place_of(uint64_t n)
{
    return FIRST + (off_t)(n * STRIDE % SLOTS) * BLOCK;
}

static void die(const char *what)
{
    printf("died: %s: %s\n", what, strerror(errno));
    (void)sleep(1);
    (void)reboot(RB_POWER_OFF);
}

static void load_modules(void)
{
    char name[256];
    FILE *order = fopen("/modules/order", "r");
    while (order && fscanf(order, "%255s", name) == 1) {
        char path[300];
        (void)snprintf(path, sizeof(path), "/modules/%s", name);
        int fd = open(path, O_RDONLY);
        if (syscall(SYS_finit_module, fd, "", 0) < 0)
            die(path);
        (void)close(fd);
    }
}

/* -1 when there is none yet. */
static int find_disk(const char *wanted)
{
    for (const char *bus = "vs"; *bus; bus++)
        for (const char *letter = "abcd"; *letter; letter++) {
            const char path[] = {'/', 'd', 'e', 'v', '/', *bus, 'd', *letter, '\0'};
            int fd = open(path, O_RDWR | O_DIRECT | O_DSYNC);
            if (fd >= 0 && pread(fd, block, BLOCK, 0) == BLOCK &&
                strcmp((char *)block, wanted) == 0)
                return fd;
            (void)close(fd);
        }
    return -1;
}

static uint64_t last_record(int fd)
{
    uint64_t last = 0;
    for (off_t slot = 0; slot < SLOTS; slot++) {
        if (pread(fd, block, BLOCK, FIRST + slot * BLOCK) != BLOCK)
            die("read");
        if (block[0] == MAGIC && block[1] > last)
            last = block[1];
    }
    return last;
}

/* Which one is where record n belongs, 0 for none. */
static uint64_t record_in_place_of(int fd, uint64_t n)
{
    if (pread(fd, block, BLOCK, place_of(n)) != BLOCK)
        die("read");
    return block[0] == MAGIC ? block[1] : 0;
}

/* A disk that is newer than this memory has something in the place of n, an older one lacks n - 1.
 */
static void write_record(int fd, uint64_t n)
{
    if (record_in_place_of(fd, n) != (n > SLOTS ? n - SLOTS : 0) ||
        (n > 1 && record_in_place_of(fd, n - 1) != n - 1))
        printf("lost before %ju\n", (uintmax_t)n);
    for (size_t i = 0; i < BLOCK / 8; i += 2) {
        block[i] = MAGIC;
        block[i + 1] = n;
    }
    if (pwrite(fd, block, BLOCK, place_of(n)) != BLOCK)
        die("write");
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(void)
{
    (void)mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    if (!freopen("/dev/console", "w", stdout))
        return 1;
    setlinebuf(stdout);
    load_modules();
    int fd;
    while ((fd = find_disk(label)) < 0)
        (void)usleep(100000);
    int second = find_disk(second_label);
    uint64_t n = last_record(fd);
    if (second >= 0 && n > 0 && record_in_place_of(second, n) != n)
        write_record(second, n);
    printf("boot %ju\n", (uintmax_t)n);
    for (int64_t told_ms = 0;; (void)usleep(PAUSE_US)) {
        write_record(fd, ++n);
        if (second >= 0)
            write_record(second, n);
        if (now_ms() < told_ms + 100)
            continue;
        told_ms = now_ms();
        printf("written %ju\n", (uintmax_t)n);
    }
}
