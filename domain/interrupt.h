/* SPDX-License-Identifier: Apache-2.0 */
/* A command that is interrupted at the terminal undoes what it has begun, instead of dying. */
#pragma once

#include "common/error.h"

/*
 * From here on SIGINT, SIGTERM and SIGHUP cancel the calling thread's work (common/cancel.h), and a
 * reader of standard output that goes away is an error of writing. Before other threads are
 * started; holds for the life of the process, however often it is called.
 */
int interrupt_begin(struct error *err);
