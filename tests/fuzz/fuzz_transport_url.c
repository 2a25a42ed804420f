/* SPDX-License-Identifier: Apache-2.0 */
/* common/transport_url.c */
#include <stdio.h>

#include "common/transport_url.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct transport_url *url = NULL;
    struct error err = ERROR_INIT;
    char *text = fuzz_text(data, size);
    int r = transport_url_parse(text, &url, &err);
    fuzz_check(r, &err);
    if (r == 0 && (url->n_hosts == 0 || url->n_hosts > TRANSPORT_URL_MAX_HOSTS))
        abort();
    FILE *out = fopen("/dev/null", "w");
    if (!out)
        abort();
    transport_url_show(text, out);
    (void)fclose(out);
    transport_url_free(url);
    free(text);
    return 0;
}
