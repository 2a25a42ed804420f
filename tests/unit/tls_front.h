/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS in front of a plain server of a unit test, with certificates that are made here. Connections
 * are served one by one.
 */
#pragma once

enum tls_certificate {
    TLS_GOOD,       /* for 127.0.0.1 and localhost, by the authority */
    TLS_OTHER_HOST, /* for elsewhere.example */
    TLS_EXPIRED,    /* an hour ago */
    TLS_NONE,       /* no TLS is spoken, but garbage */
};

struct tls_front;

/* `backend_port` on loopback gets what comes through. Fails the test when it cannot listen. */
struct tls_front *tls_front_start(enum tls_certificate certificate, unsigned backend_port);
void tls_front_end(struct tls_front *front);

unsigned tls_front_port(const struct tls_front *front);

/* The authority's certificate in a file, and as a folder of OpenSSL's; and an authority that has
 * issued nothing. Valid until tls_front_end(). */
const char *tls_front_cafile(const struct tls_front *front);
const char *tls_front_cafolder(const struct tls_front *front);
const char *tls_front_other_cafile(const struct tls_front *front);
