/* SPDX-License-Identifier: Apache-2.0 */
/* What conductor.c and conductor_query.c share. */
#pragma once

#include "agent/conductor.h"

/* Calls a remoted class method. Takes `versions`, `args` and `kwargs`. 0 ms = rpc_response_timeout.
 */
int conductor_class_action(struct bus *bus, const struct request_context *context,
                           const char *objname, const char *objmethod, json_t *versions,
                           json_t *args, json_t *kwargs, unsigned timeout_ms, json_t **ret_result,
                           struct error *err);

/* The nova_object.data of each object of a list primitive called `name`, version 1.x. Owned. */
int conductor_list_data(const json_t *list, const char *name, json_t **ret_data, struct error *err);
