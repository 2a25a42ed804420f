/* What the watchdog process does when the agent has died. */
#pragma once

/*
 * Thaws the guests this agent has frozen and not thawed, each tried for half a minute; `arg` is the
 * struct agent as setup_state() has made it. Connects to the hypervisor only when there are any.
 */
void thaw_left(void *arg);
