/* SPDX-License-Identifier: Apache-2.0 */
/* See librbd.h. */
#include "driver/ceph/librbd.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/log.h"

struct symbol {
    const char *name;
    size_t offset; /* in struct librbd */
};

#define SYMBOL(function) {#function, offsetof(struct librbd, function)},

static const struct symbol librados_symbols[] = {LIBRADOS_FUNCTIONS(SYMBOL){NULL, 0}};
static const struct symbol librbd_symbols[] = {LIBRBD_FUNCTIONS(SYMBOL){NULL, 0}};

static int library_missing(struct error *err)
{
    const char *text = dlerror(); /* NOLINT(concurrency-mt-unsafe): of this thread */
    return error_set(err, ENOTSUP, EXC_IMAGE_UNACCEPTABLE, "Ceph's libraries cannot be used: %s",
                     text ? text : "unknown error");
}

/* The library is never unloaded: its threads may be at work. */
static int load_library(const char *soname, const struct symbol *symbols, struct librbd *table,
                        struct error *err)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return library_missing(err);
    for (const struct symbol *symbol = symbols; symbol->name; symbol++) {
        void *address = dlsym(library, symbol->name);
        if (!address)
            return library_missing(err);
        *(void **)(void *)((char *)table + symbol->offset) = address;
    }
    return 0;
}

int librbd_load(const struct librbd **ret_librbd, struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct librbd table;
    static bool loaded;
    LOCK_SCOPE(&lock);
    if (!loaded) {
        int r = load_library("librados.so.2", librados_symbols, &table, err);
        if (r < 0)
            return r;
        r = load_library("librbd.so.1", librbd_symbols, &table, err);
        if (r < 0)
            return r;
        log_debug("Ceph: librados and librbd are loaded");
        loaded = true;
    }
    *ret_librbd = &table;
    return 0;
}
