/* SPDX-License-Identifier: Apache-2.0 */
/* conf/: a file of options. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "conf/conf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct error err = ERROR_INIT;
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const struct conf_source source = {.path = path};
    log_set_level(LOG_LEVEL_ERROR);
    int r = conf_load(&source, 1, &conf, &err);
    fuzz_check(r, &err);
    conf_free(conf);
    (void)close(fd);
    return 0;
}
