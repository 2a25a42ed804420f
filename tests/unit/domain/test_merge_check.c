/* SPDX-License-Identifier: Apache-2.0 */
/* domain/merge_check.c: what a merge may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain/merge_check.h"

#define GIB (UINT64_C(1) << 30)

/* Of a disk of 400 GiB whose base has so much of it, and whose two layers so much. */
static bool in_place;

static uint64_t bytes_with(uint64_t base, uint64_t layer, uint64_t other)
{
    json_t *disk =
        json_pack("{s:{s:I, s:I}, s:[{s:I}, {s:I}]}", "base", "size_bytes", (json_int_t)(400 * GIB),
                  "allocated_bytes", (json_int_t)base, "gone", "allocated_bytes", (json_int_t)layer,
                  "allocated_bytes", (json_int_t)other);
    uint64_t bytes = merge_check_bytes(disk, in_place);
    json_decref(disk);
    return bytes - MERGE_RESERVE_BYTES;
}

static void all_that_goes_down_may_be_new_there(void **state)
{
    (void)state;
    assert_int_equal(bytes_with(10 * GIB, 60 * GIB, 5 * GIB), 65 * GIB);
}

static void also_what_shares_its_blocks(void **state)
{
    (void)state;
    in_place = false;
    assert_int_equal(bytes_with(400 * GIB, 60 * GIB, 5 * GIB), 65 * GIB);
}

static void no_more_than_the_disk_has_room_for(void **state)
{
    (void)state;
    in_place = true;
    assert_int_equal(bytes_with(390 * GIB, 60 * GIB, 5 * GIB), 10 * GIB);
    assert_int_equal(bytes_with(400 * GIB, 60 * GIB, 0), 0);
    assert_int_equal(bytes_with(401 * GIB, 60 * GIB, 0), 0); /* qcow2 has tables as well */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_that_goes_down_may_be_new_there),
                                       cmocka_unit_test(also_what_shares_its_blocks),
                                       cmocka_unit_test(no_more_than_the_disk_has_room_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
