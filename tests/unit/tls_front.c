/* SPDX-License-Identifier: Apache-2.0 */
/* See tls_front.h. */
#include "tests/unit/tls_front.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define PATH_SIZE 128
#define WAIT_MS 20000

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

struct tls_front {
    enum tls_certificate kind;
    unsigned port, backend_port;
    int listener;
    pthread_t thread;
    atomic_bool stop;
    SSL_CTX *context;
    struct authority authority, other;
    char folder[PATH_SIZE], cafile[PATH_SIZE], other_cafile[PATH_SIZE], hashed[PATH_SIZE];
};

static X509 *new_certificate(EVP_PKEY *key, const char *name, long valid_from_s, long valid_to_s)
{
    X509 *certificate = X509_new();
    static long serial = 1;
    assert_non_null(certificate);
    (void)X509_set_version(certificate, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), valid_from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), valid_to_s);
    (void)X509_set_pubkey(certificate, key);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                     (const unsigned char *)name, -1, -1, 0);
    return certificate;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    (void)X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static struct authority new_authority(const char *name)
{
    struct authority authority = {.key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")};
    assert_non_null(authority.key);
    authority.certificate = new_certificate(authority.key, name, -7200, 7200);
    add_extension(authority.certificate, NID_basic_constraints, "critical,CA:TRUE");
    (void)X509_set_issuer_name(authority.certificate, X509_get_subject_name(authority.certificate));
    assert_true(X509_sign(authority.certificate, authority.key, EVP_sha256()) > 0);
    return authority;
}

static void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

static void write_authorities(struct tls_front *front)
{
    (void)snprintf(front->folder, sizeof(front->folder), "/tmp/tls-front-XXXXXX");
    assert_non_null(mkdtemp(front->folder));
    (void)snprintf(front->cafile, PATH_SIZE, "%.64s/ca.pem", front->folder);
    (void)snprintf(front->other_cafile, PATH_SIZE, "%.64s/other.pem", front->folder);
    (void)snprintf(
        front->hashed, PATH_SIZE, "%.64s/%08lx.0", front->folder,
        X509_NAME_hash_ex(X509_get_subject_name(front->authority.certificate), NULL, NULL, NULL));
    write_certificate(front->cafile, front->authority.certificate);
    write_certificate(front->hashed, front->authority.certificate);
    write_certificate(front->other_cafile, front->other.certificate);
}

static void use_certificate(struct tls_front *front)
{
    bool expired = front->kind == TLS_EXPIRED;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(key);
    X509 *certificate = new_certificate(key, "server", -7000, expired ? -3600 : 3600);
    add_extension(certificate, NID_subject_alt_name,
                  front->kind == TLS_OTHER_HOST ? "DNS:elsewhere.example"
                                                : "DNS:localhost,IP:127.0.0.1");
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(front->authority.certificate));
    assert_true(X509_sign(certificate, front->authority.key, EVP_sha256()) > 0);
    front->context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(front->context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(front->context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)},
                                  .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool pass_on(SSL *tls, int backend, bool from_client)
{
    char data[16384];
    int n =
        from_client ? SSL_read(tls, data, sizeof(data)) : (int)recv(backend, data, sizeof(data), 0);
    if (n <= 0)
        return false;
    return from_client ? send(backend, data, (size_t)n, MSG_NOSIGNAL) == n
                       : SSL_write(tls, data, n) == n;
}

static void pump(struct tls_front *front, SSL *tls, int client, int backend)
{
    for (int waited_ms = 0; waited_ms < WAIT_MS && !front->stop;) {
        struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = backend, .events = POLLIN}};
        int timeout_ms = SSL_pending(tls) > 0 ? 0 : 10;
        if (poll(fds, 2, timeout_ms) == 0)
            waited_ms += timeout_ms;
        if ((fds[0].revents || SSL_pending(tls) > 0) && !pass_on(tls, backend, true))
            return;
        if (fds[1].revents && !pass_on(tls, backend, false))
            return;
    }
}

static void serve_connection(struct tls_front *front, int client)
{
    static const char garbage[] = "220 mail.example ESMTP ready\r\n";
    if (front->kind == TLS_NONE) {
        (void)send(client, garbage, strlen(garbage), MSG_NOSIGNAL);
        return;
    }
    const struct timeval patience = {.tv_sec = 5};
    (void)setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    SSL *tls = SSL_new(front->context);
    (void)SSL_set_fd(tls, client);
    if (SSL_accept(tls) == 1) {
        int backend = connect_to(front->backend_port);
        if (backend >= 0) {
            pump(front, tls, client, backend);
            (void)close(backend);
        }
        (void)SSL_shutdown(tls);
    }
    SSL_free(tls);
}

static void *serve(void *opaque)
{
    struct tls_front *front = opaque;
    while (!front->stop) {
        struct pollfd entry = {.fd = front->listener, .events = POLLIN};
        if (poll(&entry, 1, 10) <= 0)
            continue;
        int client = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client < 0)
            continue;
        serve_connection(front, client);
        (void)close(client);
    }
    return NULL;
}

struct tls_front *tls_front_start(enum tls_certificate certificate, unsigned backend_port)
{
    struct tls_front *front = calloc(1, sizeof(*front));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    assert_non_null(front);
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    front->kind = certificate;
    front->backend_port = backend_port;
    front->authority = new_authority("Authority of a test");
    front->other = new_authority("Another authority");
    write_authorities(front);
    use_certificate(front);
    front->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(front->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(front->listener, 64) < 0 ||
        getsockname(front->listener, (struct sockaddr *)&address, &length) < 0)
        fail_msg("cannot listen on loopback");
    front->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&front->thread, NULL, serve, front), 0);
    return front;
}

static void forget(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

void tls_front_end(struct tls_front *front)
{
    front->stop = true;
    (void)pthread_join(front->thread, NULL);
    (void)close(front->listener);
    SSL_CTX_free(front->context);
    forget(&front->authority);
    forget(&front->other);
    (void)unlink(front->cafile);
    (void)unlink(front->other_cafile);
    (void)unlink(front->hashed);
    (void)rmdir(front->folder);
    free(front);
}

unsigned tls_front_port(const struct tls_front *front)
{
    return front->port;
}

const char *tls_front_cafile(const struct tls_front *front)
{
    return front->cafile;
}

const char *tls_front_cafolder(const struct tls_front *front)
{
    return front->folder;
}

const char *tls_front_other_cafile(const struct tls_front *front)
{
    return front->other_cafile;
}
