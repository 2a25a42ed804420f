/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a guest, from its start to its end, told from every other run of it: whether what was
 * noted of a guest is true of the one that is there now. On one thread.
 *
 * libvirt's id alone does not tell: a libvirtd that was started anew counts on from the highest one
 * in use, and gives the last one again. A run is {id: libvirt's, -1: none runs; qemu: the mark of
 * its process (qemu_process.h)}; where that is not shown, as in a container, it has in its place
 * {command: the mark of this command, and of its connection}, which tells as long as both last.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "domain/session.h"

static inline void cleanup_free_run(json_t **run)
{
    json_decref(*run);
}
#define cleanup_run __attribute__((cleanup(cleanup_free_run)))

enum domain_run_likeness {
    DOMAIN_RUN_SAME,
    DOMAIN_RUN_OTHER,   /* or none runs */
    DOMAIN_RUN_UNKNOWN, /* nothing that only the noted one had may be laid to this one's account */
};

/* The run of now, of a domain that is looked up anew. InstanceNotFound. Returned owned. */
int domain_run_read(const struct session *session, json_t **ret_run, struct error *err);

/* NULL is none. */
bool domain_run_is_active(const json_t *run);

/* `noted` is of the record, NULL of one that was written before runs were noted. */
enum domain_run_likeness domain_run_compare(const struct record *record, const json_t *noted,
                                            const json_t *now);
