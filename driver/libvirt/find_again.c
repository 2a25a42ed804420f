/* The domain after a lost connection. See connection.h. */
#include <errno.h>
#include <stddef.h>

#include "driver/libvirt/connection.h"

int libvirt_connection_find_domain_again(struct libvirt_connection *connection, const char *uuid,
                                         virDomainPtr *domain, bool *ret_active, struct error *err)
{
    struct error failure = ERROR_INIT;
    if (*domain && virDomainIsActive(*domain) == 1) {
        *ret_active = true;
        return 0;
    }
    if (*domain)
        (void)virDomainFree(*domain);
    *domain = NULL;
    int r = libvirt_connection_find_domain(connection, uuid, LIBVIRT_PATIENCE_MS,
                                           EXC_INSTANCE_NOT_FOUND, domain, &failure);
    if (r < 0 && r != -ENOENT) {
        *err = failure;
        return r;
    }
    *ret_active = *domain && virDomainIsActive(*domain) != 0;
    return 0;
}
