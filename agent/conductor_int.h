/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of conductor.h share: how a remoted method is called. */
#pragma once

#include "agent/conductor.h"

/* The oldest version every conductor understands; behaviour is the same for what is saved here. */
#define CONDUCTOR_INSTANCE_VERSION "2.0"

/* A remoted method of a versioned object. Its JSON is taken by whoever calls it. */
struct conductor_action {
    const char *objname; /* of a class method */
    const char *objmethod;
    json_t *versions; /* of a class method: those of all objects in its answer */
    json_t *args;     /* of a class method */
    json_t *kwargs;
    unsigned timeout_ms; /* 0 = rpc_response_timeout */
};

/* Calls it and waits for the answer, which is owned; without `ret_result` it is dropped. */
int conductor_class_action(struct bus *bus, const struct request_context *context,
                           const struct conductor_action *action, json_t **ret_result,
                           struct error *err);

/* The same of an object (its primitive, taken). */
int conductor_object_action(struct bus *bus, const struct request_context *context, json_t *objinst,
                            const struct conductor_action *action, json_t **ret_result,
                            struct error *err);

/* The primitive of an object. Takes `data` and `changes`; NULL when out of memory. */
json_t *conductor_object_primitive(const char *name, const char *version, json_t *data,
                                   json_t *changes);

/* The nova_object.data of each object of a list primitive called `name`, version `major`.x. Owned.
 */
int conductor_list_data(const json_t *list, const char *name, unsigned major, json_t **ret_data,
                        struct error *err);
