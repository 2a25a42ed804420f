/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See nbd_reader.h. A ring of slots: the thread asks for the data of one after the other, the
 * reader takes them in the same order. A slot belongs to the thread while it is ASKED, to the
 * reader while it is READY.
 */
#include "driver/image/nbd_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/cancel.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metric.h"

#define SLOTS 16
#define SLOT_BYTES (2 * EXTENT_CLUSTER_BYTES)
#define TURN_MS 1000
#define CANCEL_CHECK_MS 250

enum slot_state { SLOT_FREE, SLOT_ASKED, SLOT_READY };

struct slot {
    struct nbd_reader *reader;
    enum slot_state state;
    size_t length, taken;
    int error;
    unsigned char *bytes; /* SLOT_BYTES */
};

struct nbd_reader {
    struct nbd_client *client;
    const struct extent_map *map;
    pthread_t thread;
    bool running;
    int wake_fd;
    /* of the thread */
    uint64_t next_cluster; /* to be asked for */
    unsigned next_slot;
    unsigned asked; /* slots under way */
    /* of the reader */
    unsigned take_slot;
    pthread_mutex_t lock; /* from here on */
    pthread_cond_t changed;
    bool stopping;  /* nothing more is asked for, what is under way is waited for */
    bool abandoned; /* and what is under way is not waited for either */
    bool finished;
    struct error failure; /* errnum 0: none */
    struct slot slots[SLOTS];
    unsigned char *memory; /* of all slots */
};

int nbd_reader_new(struct nbd_client *client, const struct extent_map *map,
                   struct nbd_reader **ret_reader, struct error *err)
{
    struct nbd_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return error_nomem(err);
    reader->client = client;
    reader->map = map;
    reader->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reader->memory = malloc(SLOTS * SLOT_BYTES);
    (void)pthread_mutex_init(&reader->lock, NULL);
    clock_cond_init(&reader->changed);
    for (unsigned i = 0; i < SLOTS; i++)
        reader->slots[i] =
            (struct slot){.reader = reader, .bytes = reader->memory + i * SLOT_BYTES};
    if (reader->wake_fd < 0 || !reader->memory) {
        int r = error_errno(err, reader->memory ? errno : ENOMEM, "cannot make an NBD reader");
        nbd_reader_free(reader);
        return r;
    }
    *ret_reader = reader;
    return 0;
}

static void wake_thread(struct nbd_reader *reader)
{
    (void)eventfd_write(reader->wake_fd, 1);
}

static void stop_reading(struct nbd_reader *reader, bool abandon)
{
    if (!reader->running)
        return;
    {
        LOCK_SCOPE(&reader->lock);
        reader->stopping = true;
        reader->abandoned = abandon;
    }
    wake_thread(reader);
    (void)pthread_join(reader->thread, NULL);
    reader->running = false;
}

void nbd_reader_free(struct nbd_reader *reader)
{
    if (!reader)
        return;
    stop_reading(reader, true);
    nbd_client_retire(reader->client);
    if (reader->asked > 0 || reader->failure.errnum != 0)
        nbd_client_disconnect(reader->client);
    if (reader->wake_fd >= 0)
        (void)close(reader->wake_fd);
    (void)pthread_cond_destroy(&reader->changed);
    (void)pthread_mutex_destroy(&reader->lock);
    free(reader->memory);
    free(reader);
}

/* On the thread, within nbd_client_turn() or nbd_aio_pread(). */
static int slot_has_come(void *arg, int *error)
{
    struct slot *slot = arg;
    struct nbd_reader *reader = slot->reader;
    reader->asked--;
    LOCK_SCOPE(&reader->lock);
    slot->error = *error;
    slot->state = SLOT_READY;
    if (*error == 0)
        metric_add(METRIC_READ_BYTES, 0, (int64_t)slot->length);
    (void)pthread_cond_signal(&reader->changed);
    return 0;
}

/* The next piece of data there is in the disk; 0 when there is no more. */
static size_t next_piece(struct nbd_reader *reader, uint64_t *ret_offset)
{
    const struct extent_map *map = reader->map;
    uint64_t begin = extent_map_next(map, reader->next_cluster, true);
    uint64_t end = extent_map_next(map, begin, false);
    if (end - begin > SLOT_BYTES >> EXTENT_CLUSTER_BITS)
        end = begin + (SLOT_BYTES >> EXTENT_CLUSTER_BITS);
    reader->next_cluster = end;
    *ret_offset = begin << EXTENT_CLUSTER_BITS;
    uint64_t end_bytes = end << EXTENT_CLUSTER_BITS;
    if (end_bytes > extent_map_disk_bytes(map))
        end_bytes = extent_map_disk_bytes(map);
    return begin < end ? (size_t)(end_bytes - *ret_offset) : 0;
}

/* The next slot, if it is free; NULL when the thread has to wait for it, or is to stop. */
static struct slot *free_slot(struct nbd_reader *reader, bool *ret_stopping)
{
    struct slot *slot = &reader->slots[reader->next_slot];
    LOCK_SCOPE(&reader->lock);
    *ret_stopping = reader->stopping;
    return slot->state == SLOT_FREE && !reader->stopping ? slot : NULL;
}

static void set_asked(struct slot *slot, size_t length)
{
    LOCK_SCOPE(&slot->reader->lock);
    slot->state = SLOT_ASKED;
    slot->length = length;
    slot->taken = 0;
    slot->reader->asked++;
}

/* Asks for as much as there is room for. 1 when all has been asked for, or nothing more is wanted.
 */
static int ask_for_data(struct nbd_reader *reader, struct error *err)
{
    bool stopping = false;
    for (struct slot *slot; (slot = free_slot(reader, &stopping));) {
        const nbd_completion_callback completion = {.callback = slot_has_come, .user_data = slot};
        uint64_t offset = 0;
        size_t length = next_piece(reader, &offset);
        if (length == 0)
            return 1;
        set_asked(slot, length);
        reader->next_slot = (reader->next_slot + 1) % SLOTS;
        if (nbd_aio_pread(reader->client->handle, slot->bytes, length, offset, completion, 0) < 0)
            return nbd_client_error(reader->client, err, "cannot read from the NBD server");
    }
    return stopping;
}

static void drain_wake(const struct nbd_reader *reader)
{
    eventfd_t ignored;
    (void)eventfd_read(reader->wake_fd, &ignored);
}

static bool is_abandoned(struct nbd_reader *reader)
{
    LOCK_SCOPE(&reader->lock);
    return reader->abandoned;
}

/* Until all has come that is wanted. */
static int read_ahead(struct nbd_reader *reader, struct error *err)
{
    uint64_t heard_ms = clock_now_ms();
    int all_asked;
    while ((all_asked = ask_for_data(reader, err)) == 0 ||
           (all_asked > 0 && reader->asked > 0 && !is_abandoned(reader))) {
        int r = nbd_client_turn(reader->client, reader->wake_fd, TURN_MS, err);
        if (r < 0)
            return r;
        uint64_t now_ms = clock_now_ms();
        drain_wake(reader);
        if (r > 0 || reader->asked == 0)
            heard_ms = now_ms;
        else if (now_ms > heard_ms + reader->client->stall_timeout_s * UINT64_C(1000))
            return error_set(err, ETIMEDOUT, EXC_INTERNAL_ERROR,
                             "nothing came from the disk for %u s",
                             reader->client->stall_timeout_s);
    }
    return all_asked < 0 ? all_asked : 0;
}

static void *run_thread(void *arg)
{
    struct nbd_reader *reader = arg;
    struct error failure = ERROR_INIT;
    (void)read_ahead(reader, &failure);
    LOCK_SCOPE(&reader->lock);
    reader->failure = failure;
    reader->finished = true;
    (void)pthread_cond_signal(&reader->changed);
    return NULL;
}

int nbd_reader_start(struct nbd_reader *reader, struct error *err)
{
    stop_reading(reader, false);
    if (reader->failure.errnum != 0) {
        *err = reader->failure;
        return -err->errnum;
    }
    reader->stopping = reader->finished = false;
    reader->next_cluster = 0;
    reader->next_slot = reader->take_slot = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        reader->slots[i].state = SLOT_FREE;
    int r = pthread_create(&reader->thread, NULL, run_thread, reader);
    if (r != 0)
        return error_errno(err, r, "cannot start an NBD reader");
    reader->running = true;
    log_debug("NBD reader: reads the disk from its beginning");
    return 0;
}

/* 1 when the slot is the reader's, 0 when nothing more will come. Called with the lock held. */
static int await_slot(struct nbd_reader *reader, const struct slot *slot, struct error *err)
{
    while (slot->state != SLOT_READY && !reader->finished) {
        const struct timespec next = clock_deadline(CANCEL_CHECK_MS);
        (void)pthread_cond_timedwait(&reader->changed, &reader->lock, &next);
        if (cancel_check(err) < 0)
            return -ECANCELED;
    }
    if (slot->state == SLOT_READY && slot->error == 0)
        return 1;
    if (slot->state == SLOT_READY)
        return error_errno(err, slot->error, "the disk cannot be read");
    if (reader->failure.errnum == 0)
        return 0;
    *err = reader->failure;
    return -err->errnum;
}

static void give_back(struct slot *slot)
{
    {
        LOCK_SCOPE(&slot->reader->lock);
        slot->state = SLOT_FREE;
    }
    slot->reader->take_slot = (slot->reader->take_slot + 1) % SLOTS;
    wake_thread(slot->reader);
}

ssize_t nbd_reader_read(struct nbd_reader *reader, void *buffer, size_t length, struct error *err)
{
    struct slot *slot = &reader->slots[reader->take_slot];
    {
        LOCK_SCOPE(&reader->lock);
        int r = await_slot(reader, slot, err);
        if (r <= 0)
            return r;
    }
    size_t left = slot->length - slot->taken;
    if (length > left)
        length = left;
    memcpy(buffer, slot->bytes + slot->taken, length);
    slot->taken += length;
    if (slot->taken == slot->length)
        give_back(slot);
    return (ssize_t)length;
}
