/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nova-conductor's RPC (topic "conductor", version 3.0) as a snapshot needs it: remoted methods of
 * Instance, InstanceList, InstanceActionList, InstanceActionEvent, InstanceActionEventList,
 * InstanceFault, BlockDeviceMapping, BlockDeviceMappingList, Service and ShareMappingList.
 *
 * Objects are sent as minimal primitives: a listed but incomplete system_metadata would wipe the
 * rest, and a version newer than the conductor's would make it call itself (nova.objects.base). All
 * functions wait for the answer, on any thread but the bus; errors carry the class Nova raised.
 */
#pragma once

#include "agent/instance.h"
#include "amqp/bus.h"
#include "common/error.h"
#include "common/request_context.h"

/*
 * Instance.save(): sets the fields of `changes` (object, borrowed) and merges the answer.
 * `expected_task_state` (borrowed) is a string, an array or NULL for no expectation. When no answer
 * comes in time the save is sent again, and a broker may deliver one twice: what is refused with
 * UnexpectedTaskStateError may have been executed.
 */
int conductor_instance_save(struct bus *bus, const struct request_context *context,
                            struct instance *instance, json_t *changes, json_t *expected_task_state,
                            struct error *err);

/*
 * The same of `progress` alone (-1 = None), once, within some seconds: nothing depends on it. It is
 * saved only in this task state; NULL: in any.
 */
int conductor_instance_save_progress(struct bus *bus, const struct request_context *context,
                                     const struct instance *instance, int progress,
                                     const char *task_state, struct error *err);

/* An instance's progress as it is saved: -1 = None. Owned. */
json_t *conductor_instance_progress(int progress);

/* What the database holds of an instance now; "" = None. */
struct instance_states {
    char vm_state[64];
    char task_state[64];
    char host[256];
};

/* Gives up after some seconds: it is asked while a guest waits. */
int conductor_instance_states(struct bus *bus, const struct request_context *context,
                              const char *instance_uuid, struct instance_states *ret_states,
                              struct error *err);

/* The instances of a host: an array of nova_object.data objects, with base fields alone. Owned. */
int conductor_instance_list(struct bus *bus, const struct request_context *context,
                            const char *host, json_t **ret_instances, struct error *err);

/* Loads the fields of `attributes` (NULL-ended) the request did not carry. 0 for `timeout_ms`:
 * rpc_response_timeout. */
int conductor_instance_load(struct bus *bus, const struct request_context *context,
                            struct instance *instance, const char *const *attributes,
                            unsigned timeout_ms, struct error *err);

int conductor_event_start(struct bus *bus, const struct request_context *context,
                          const char *instance_uuid, const char *event, const char *host,
                          struct error *err);

/* Ends the event: 'Success' when `failure` is NULL, else 'Error' with its message. */
int conductor_event_finish(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, const char *event,
                           const struct error *failure, struct error *err);

/*
 * Whether the request of `context` is the last for a snapshot or backup that was made on the
 * instance, and one event `event` of it has started. Who has started one knows then that nobody
 * else has begun the request: each nova-compute, too, starts its own before it saves a task state.
 * Gives up after some seconds: it is asked while a guest waits.
 */
int conductor_event_is_only(struct bus *bus, const struct request_context *context,
                            const char *instance_uuid, const char *event, bool *ret_only,
                            struct error *err);

int conductor_fault_create(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, const char *host, const struct error *failure,
                           struct error *err);

/* The instance's block device mappings: an array of nova_object.data objects, owned. */
int conductor_mapping_list(struct bus *bus, const struct request_context *context,
                           const char *instance_uuid, json_t **ret_mappings, struct error *err);

/* The instance's mapping of one volume: its nova_object.data, owned. VolumeBDMNotFound. */
int conductor_mapping_of_volume(struct bus *bus, const struct request_context *context,
                                const char *instance_uuid, const char *volume_id,
                                json_t **ret_mapping, struct error *err);

/* BlockDeviceMapping.save() of a new connection_info (object) for `mapping`; both borrowed. */
int conductor_mapping_save_connection_info(struct bus *bus, const struct request_context *context,
                                           json_t *mapping, const json_t *connection_info,
                                           struct error *err);

/* The version of the host's nova-compute: Service.version; 0 when there is no such service. */
int conductor_service_version(struct bus *bus, const struct request_context *context,
                              const char *host, unsigned timeout_ms, unsigned *ret_version,
                              struct error *err);

/*
 * The shares attached to the instance: an array of nova_object.data objects, owned. Known from
 * 2025.1 on.
 */
int conductor_mapping_list_shares(struct bus *bus, const struct request_context *context,
                                  const char *instance_uuid, json_t **ret_mappings,
                                  struct error *err);
