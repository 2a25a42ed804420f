/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [oslo_messaging_rabbit], as the query of one transport_url changes it. Names, defaults and limits
 * are in conf/options.c. Plain data; whoever fills it says who owns the strings.
 */
#pragma once

#include <stdbool.h>

struct rabbit_options {
    bool ssl;
    const char *ssl_ca_file;   /* NULL or "" = the peer is not verified, as oslo does */
    const char *ssl_cert_file; /* NULL or "" = no client certificate */
    const char *ssl_key_file;
    bool ssl_enforce_hostname_verification;
    const char *rabbit_login_method; /* AMQPLAIN and PLAIN both log in with PLAIN; EXTERNAL */
    unsigned heartbeat_timeout_threshold_s;
    unsigned rabbit_retry_interval_s;
    unsigned rabbit_retry_backoff_s;
    unsigned rabbit_interval_max_s;
    const char *kombu_failover_strategy; /* round-robin, shuffle */
    unsigned kombu_missing_consumer_retry_timeout_s;
    bool amqp_durable_queues;
    bool amqp_auto_delete;
    bool rabbit_quorum_queue;
    bool rabbit_transient_quorum_queue;
    bool rabbit_stream_fanout;
    unsigned rabbit_quorum_delivery_limit;
    unsigned rabbit_quorum_max_memory_length;
    unsigned rabbit_quorum_max_memory_bytes;
    unsigned rabbit_transient_queues_ttl_s;
    unsigned rabbit_qos_prefetch_count;
    bool enable_cancel_on_failover;
};
