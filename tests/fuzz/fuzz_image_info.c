/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/qemu_img.c: what qemu-img says of a header that a tenant may have written. */
#include "driver/image/qemu_img.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qemu_img_info info;
    struct error err = ERROR_INIT;
    char *text = fuzz_text(data, size);
    fuzz_check(qemu_img_parse_info(text, size, "/disk", &info, &err), &err);
    free(text);
    return 0;
}
