/* SPDX-License-Identifier: Apache-2.0 */
/* amqp/rpc_request.c, amqp/oslo_message.c: the body of a request. */
#include "amqp/rpc_request.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rpc_request *request = NULL;
    struct error err = ERROR_INIT;
    char *body = fuzz_text(data, size);
    int r = rpc_request_unpack(body, size, &request, &err);
    fuzz_check(r, &err);
    if ((r == 0) != (request != NULL))
        abort();
    rpc_request_free(request);
    free(body);
    return 0;
}
