/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/qcow2_mark.c: the header of an image that stands on another. */
#include "driver/image/qcow2_mark.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qcow2_marks marks = {"", ""};
    struct error err = ERROR_INIT;
    if (size > 4096) /* what is read of a file */
        size = 4096;
    fuzz_check(qcow2_mark_parse(data, size, "/image", &marks, &err), &err);
    if (strnlen(marks.own, sizeof(marks.own)) > QCOW2_MARK_MAX ||
        strnlen(marks.base, sizeof(marks.base)) > QCOW2_MARK_MAX)
        abort();
    return 0;
}
