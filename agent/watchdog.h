/*
 * A small process that looks after the agent: when it dies, the guests it has left frozen are
 * thawed at once, not when somebody starts it again.
 */
#pragma once

#include "common/error.h"

/*
 * Forks the watchdog; before any thread, libvirt or curl. It ends by itself soon after the agent,
 * whatever way that goes. `thaw` runs in it then, with `arg`. Returns the descriptor whose end
 * tells: to be kept open by the agent, and by nobody else (O_CLOEXEC).
 */
int watchdog_start(void (*thaw)(void *arg), void *arg, int *ret_fd, struct error *err);
