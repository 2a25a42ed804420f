/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whose daemon may ask who we are (SASL): what is answered is in auth.conf. */
#pragma once

#include <libvirt/libvirt.h>

/* As virConnectOpen(). NULL: libvirt says why; nobody is asked for what auth.conf does not answer.
 */
virConnectPtr credentials_open(const char *uri);
