/*
 * Writing into the journal the agent gives (struct driver_journal). A journal of NULL takes
 * everything and keeps nothing.
 *
 * Entries of the driver are objects with a member "step":
 *   begin     before the first side effect of extract or direct_snapshot: all that undoing needs
 *   freeze    the guest is about to be frozen
 *   thaw      it is known to be thawed
 *   image     extract has finished this image
 *   undone    all of it has been undone: what was made under its names since is somebody else's
 * See recover.h for their members and for who reads them.
 */
#pragma once

#include <jansson.h>

#include "common/error.h"
#include "driver/driver.h"

/* Writes an entry, which it takes; NULL is one there was no memory for. */
int driver_journal_write(const struct driver_journal *journal, json_t *entry, struct error *err);

/* Before a freeze, which may only come when this returns 0. */
int driver_journal_freezing(const struct driver_journal *journal, struct error *err);

/* Once the guest is known not to be frozen by us. */
void driver_journal_thawed(const struct driver_journal *journal);
