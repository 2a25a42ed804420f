/* SPDX-License-Identifier: Apache-2.0 */
/* common/request_context.c: who asks, as a message and as the journal say it. */
#include "common/request_context.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request_context *context = NULL, *elevated = NULL;
    struct error err = ERROR_INIT;
    json_t *values = json_loadb((const char *)data, size, 0, NULL);
    if (!json_is_object(values)) {
        json_decref(values);
        return 0;
    }
    int r = request_context_from_message(values, &context, &err);
    fuzz_check(r, &err);
    request_context_free(context);
    context = NULL;
    err = (struct error)ERROR_INIT;
    r = request_context_from_values(values, &context, &err);
    fuzz_check(r, &err);
    if (r == 0 && request_context_elevated(context, &elevated, &err) == 0)
        request_context_free(elevated);
    request_context_free(context);
    json_decref(values);
    return 0;
}
