/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program of the writing guest: guest_writer DEVICE FIRST_MIB COUNT_MIB writes 4 KiB at
 * random places of that part of the device, past the guest's page cache, again and again, and tells
 * every 200 ms how many writes there were and how long they took.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define PAUSE_US 10000
#define TELL_US 200000

static char block[BLOCK] __attribute__((aligned(BLOCK)));

static long now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Microseconds of one write. */
static long write_block(int fd, off_t at)
{
    long begin = now_us();
    memcpy(block, &begin, sizeof begin);
    if (pwrite(fd, block, BLOCK, at) != BLOCK) {
        perror("write");
        exit(1);
    }
    return now_us() - begin;
}

static void write_for_a_while(int fd, off_t first, long blocks)
{
    long begin = now_us(), count = 0, sum = 0, max = 0;
    while (now_us() - begin < TELL_US) {
        long took = write_block(fd, first + random() % blocks * BLOCK);
        count++;
        sum += took;
        max = took > max ? took : max;
        (void)usleep(PAUSE_US);
    }
    printf("writes %ld sum_us %ld max_us %ld\n", count, sum, max);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    int fd = argc == 4 ? open(argv[1], O_WRONLY | O_DIRECT) : -1;
    if (fd < 0) {
        perror("open");
        return 1;
    }
    for (;;)
        write_for_a_while(fd, atol(argv[2]) << 20, atol(argv[3]) << 20 >> 12);
}
