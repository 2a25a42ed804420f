/* SPDX-License-Identifier: Apache-2.0 */
/* See driver.h. */
#include "driver/driver.h"

#include <stddef.h>

const char *snapshot_method_name(enum snapshot_method method)
{
    static const char *const names[] = {[SNAPSHOT_METHOD_STREAM] = "stream",
                                        [SNAPSHOT_METHOD_BLOCKCOPY] = "blockcopy",
                                        [SNAPSHOT_METHOD_BLOCKREBASE] = "blockrebase",
                                        [SNAPSHOT_METHOD_COLD] = "cold"};
    return names[method];
}

void driver_tell_instant(const struct driver_observer *observer)
{
    if (observer)
        observer->instant(observer->arg);
}

void driver_tell_copied(const struct driver_observer *observer, uint64_t done_bytes,
                        uint64_t total_bytes)
{
    if (observer)
        observer->copied(observer->arg, done_bytes, total_bytes);
}

uint64_t driver_ask_copy_rate(const struct driver_observer *observer, uint64_t usual)
{
    return observer && observer->copy_rate ? observer->copy_rate(observer->arg, usual) : usual;
}

void driver_free(struct driver *driver)
{
    if (driver)
        driver->ops->free(driver);
}
