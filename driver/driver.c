/* See driver.h. */
#include "driver/driver.h"

#include <stddef.h>

void driver_free(struct driver *driver)
{
    if (driver)
        driver->ops->free(driver);
}
