/* SPDX-License-Identifier: Apache-2.0 */
/* See broker_login.h. Properties and TLS rules: oslo_messaging._drivers.impl_rabbit.Connection. */
#include "amqp/broker_login.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "amqp/broker_text.h"
#include "amqp/reach.h"
#include "amqp/status_text.h"
#include "amqp/table_entry.h"
#include "common/id.h"

#define CONNECT_TIMEOUT_S 5
#define HANDSHAKE_TIMEOUT_S 10
#define RPC_TIMEOUT_S 5
#define SEND_TIMEOUT_MS 10000
#define FRAME_MAX_BYTES 131072 /* RabbitMQ's own default */
#define CHANNEL_MAX 16

static int host_unreachable(const struct transport_host *host, int errnum, const char *why,
                            struct error *err)
{
    return error_set(err, errnum, EXC_INTERNAL_ERROR, "AMQP server on %s:%u is unreachable: %s",
                     host->hostname, host->port, why);
}

static int tls_trouble(const struct transport_host *host, const char *option, struct error *err)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR,
                     "AMQP server on %s:%u: [oslo_messaging_rabbit]%s cannot be loaded",
                     host->hostname, host->port, option);
}

/*
 * librabbitmq compares names only; OpenSSL also an address with those of the certificate, as Python
 * does for oslo. What it finds is among the results that librabbitmq looks at.
 */
static bool expect_host(amqp_socket_t *socket, const char *hostname)
{
    X509_VERIFY_PARAM *expected = SSL_CTX_get0_param(amqp_ssl_socket_get_context(socket));
    return X509_VERIFY_PARAM_set1_ip_asc(expected, hostname) == 1 ||
           X509_VERIFY_PARAM_set1_host(expected, hostname, 0) == 1;
}

/* As oslo: without a CA file neither the peer nor its name is verified. */
static int set_up_tls(amqp_socket_t *socket, const struct transport_host *host,
                      const struct rabbit_options *options, struct error *err)
{
    bool verify = options->ssl_ca_file && options->ssl_ca_file[0] != '\0';
    amqp_ssl_socket_set_verify_peer(socket, verify);
    amqp_ssl_socket_set_verify_hostname(socket, false);
    if (verify && options->ssl_enforce_hostname_verification &&
        !expect_host(socket, host->hostname))
        return error_nomem(err);
    (void)amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
    if (verify && amqp_ssl_socket_set_cacert(socket, options->ssl_ca_file) != AMQP_STATUS_OK)
        return tls_trouble(host, "ssl_ca_file", err);
    const char *cert = options->ssl_cert_file;
    const char *key = options->ssl_key_file;
    if (!cert || cert[0] == '\0')
        return 0;
    if (!key || key[0] == '\0')
        key = cert;
    if (amqp_ssl_socket_set_key(socket, cert, key) != AMQP_STATUS_OK)
        return tls_trouble(host, "ssl_cert_file or ssl_key_file", err);
    return 0;
}

/* librabbitmq sends without a limit of its own: the kernel's limit is what frees a stuck writer. */
static void bound_sends(int fd)
{
    unsigned timeout_ms = SEND_TIMEOUT_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

static int not_opened(const struct transport_host *host, int status, struct error *err)
{
    char text[STATUS_TEXT_SIZE];
    if (status != AMQP_STATUS_SOCKET_ERROR)
        return host_unreachable(host, EHOSTUNREACH, status_text(status, text), err);
    int errnum = reach_errno(host, CONNECT_TIMEOUT_S * 1000);
    if (errnum == 0)
        return host_unreachable(host, ECONNRESET, "the connection was lost while it was made", err);
    return host_unreachable(host, errnum, status_text_errno(status, errnum, text), err);
}

static int open_socket(amqp_connection_state_t state, const struct transport_host *host,
                       const struct rabbit_options *options, struct error *err)
{
    amqp_socket_t *socket = options->ssl ? amqp_ssl_socket_new(state) : amqp_tcp_socket_new(state);
    if (!socket)
        return error_nomem(err);
    int r = options->ssl ? set_up_tls(socket, host, options, err) : 0;
    if (r < 0)
        return r;
    const struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S};
    int status = amqp_socket_open_noblock(socket, host->hostname, (int)host->port, &timeout);
    if (status != AMQP_STATUS_OK)
        return not_opened(host, status, err);
    bound_sends(amqp_get_sockfd(state));
    return 0;
}

/* "403 ACCESS_REFUSED - ..." of a close, or librabbitmq's own words. */
static int login_refused(const struct transport_host *host, const amqp_rpc_reply_t *reply,
                         struct error *err)
{
    char text[BROKER_TEXT_SIZE];
    if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply->reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *closing = reply->reply.decoded;
        broker_text(closing->reply_code, closing->reply_text, text);
        return host_unreachable(host, EACCES, text, err);
    }
    if (reply->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
        reply->reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *closing = reply->reply.decoded;
        broker_text(closing->reply_code, closing->reply_text, text);
        return host_unreachable(host, EACCES, text, err);
    }
    return host_unreachable(host, ECONNREFUSED, status_text(reply->library_error, text), err);
}

static int log_in(amqp_connection_state_t state, const struct transport_url *url,
                  const struct transport_host *host, const struct rabbit_options *options,
                  struct error *err)
{
    char uuid[ID_UUID_SIZE];
    char name[256];
    id_new_uuid(uuid);
    (void)snprintf(name, sizeof(name), "%s:%d:%s", program_invocation_short_name, (int)getpid(),
                   uuid);
    amqp_table_entry_t capabilities[] = {
        table_entry_true("authentication_failure_close"),
        table_entry_true("connection.blocked"),
        table_entry_true("consumer_cancel_notify"),
    };
    amqp_table_entry_t properties[] = {
        table_entry_text("connection_name", name),
        {.key = amqp_cstring_bytes("capabilities"),
         .value = {.kind = AMQP_FIELD_KIND_TABLE,
                   .value.table = {.num_entries = 3, .entries = capabilities}}},
    };
    const amqp_table_t table = {.num_entries = 2, .entries = properties};
    /* kombu's defaults when the URL names nobody. */
    const char *username = host->username[0] != '\0' ? host->username : "guest";
    const char *password = host->password[0] != '\0' ? host->password : "guest";
    const char *vhost = url->virtual_host;
    int heartbeat_s = (int)options->heartbeat_timeout_threshold_s;
    bool external =
        options->rabbit_login_method && strcasecmp(options->rabbit_login_method, "EXTERNAL") == 0;
    amqp_rpc_reply_t reply =
        external
            ? amqp_login_with_properties(state, vhost, CHANNEL_MAX, FRAME_MAX_BYTES, heartbeat_s,
                                         &table, AMQP_SASL_METHOD_EXTERNAL, username)
            : amqp_login_with_properties(state, vhost, CHANNEL_MAX, FRAME_MAX_BYTES, heartbeat_s,
                                         &table, AMQP_SASL_METHOD_PLAIN, username, password);
    return reply.reply_type == AMQP_RESPONSE_NORMAL ? 0 : login_refused(host, &reply, err);
}

static int open_channels(amqp_connection_state_t state, const struct transport_host *host,
                         const amqp_channel_t *channels, struct error *err)
{
    for (; *channels != 0; channels++) {
        (void)amqp_channel_open(state, *channels);
        amqp_rpc_reply_t reply = amqp_get_rpc_reply(state);
        if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
            (void)login_refused(host, &reply, err);
            return error_prepend(err, "channel.open");
        }
    }
    return 0;
}

int broker_login(const struct transport_url *url, const struct transport_host *host,
                 const struct rabbit_options *options, const amqp_channel_t *channels,
                 amqp_connection_state_t *ret_state, struct error *err)
{
    amqp_connection_state_t state = amqp_new_connection();
    if (!state)
        return error_nomem(err);
    const struct timeval handshake_timeout = {.tv_sec = HANDSHAKE_TIMEOUT_S};
    const struct timeval rpc_timeout = {.tv_sec = RPC_TIMEOUT_S};
    (void)amqp_set_handshake_timeout(state, &handshake_timeout);
    (void)amqp_set_rpc_timeout(state, &rpc_timeout);
    int r = open_socket(state, host, options, err);
    if (r == 0)
        r = log_in(state, url, host, options, err);
    if (r == 0)
        r = open_channels(state, host, channels, err);
    if (r < 0) {
        (void)amqp_destroy_connection(state);
        return r;
    }
    *ret_state = state;
    return 0;
}
