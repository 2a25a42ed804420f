/* SPDX-License-Identifier: Apache-2.0 */
/* glance_client/upload.c without data: the image of a volume-backed server. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/braces.h"
#include "tests/unit/glance_client/fixture.h"

/* sha512sum </dev/null */
#define NOTHING_SHA512                                                                             \
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"                             \
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
#define SHOWS(state, size, hash)                                                                   \
    BRACES(.method = "GET", .path = IMAGE_PATH,                                                    \
           .reply = "{\"id\": \"" IMAGE_ID "\", \"status\": \"" state "\", \"size\": " size        \
                    ", \"os_hash_algo\": \"sha512\", \"os_hash_value\": \"" hash "\"}")
#define ACTIVE SHOWS("active", "0", NOTHING_SHA512)
#define QUEUED SHOWS("queued", "null", "")
#define PUT                                                                                        \
    .method = "PUT", .path = IMAGE_PATH "/file",                                                   \
    .headers = {"Content-Length: 0",                                                               \
                "Content-Type: application/octet-stream",                                          \
                "!Expect",                                                                         \
                "!Transfer-Encoding",                                                              \
                "!x-openstack-image-size",                                                         \
                "X-Auth-Token: user-token"}

static void run(const struct http_step *steps, size_t count, struct error *err)
{
    struct fixture fixture;
    fixture_start(&fixture, steps, count, NULL);
    int r = glance_image_activate_empty(fixture.glance, fixture.context, IMAGE_ID, err);
    fixture_finish(&fixture);
    assert_int_equal(r, -err->errnum);
}

#define EXPECT(errnum_, exc, http_status, ...)                                                     \
    do {                                                                                           \
        const struct http_step steps_[] = {__VA_ARGS__};                                           \
        struct error err_ = ERROR_INIT;                                                            \
        run(steps_, ARRAY_SIZE(steps_), &err_);                                                    \
        expect_error(&err_, errnum_, exc, http_status);                                            \
    } while (0)

static void nothing_is_put_and_verified(void **state)
{
    (void)state;
    EXPECT(0, "", 0, {PUT, .status = 204}, ACTIVE);
}

static void it_is_repeated_only_while_queued(void **state)
{
    (void)state;
    EXPECT(0, "", 0, {PUT, .action = HTTP_DROP}, QUEUED, {PUT, .status = 503}, QUEUED,
           {PUT, .status = 204}, ACTIVE);
    EXPECT(0, "", 0, {PUT, .action = HTTP_DROP}, SHOWS("saving", "null", ""), ACTIVE);
    EXPECT(0, "", 0, {PUT, .status = 409}, ACTIVE);
    EXPECT(0, "", 0, {PUT, .status = 401}, {PUT, .status = 204}, ACTIVE);
}

static void other_data_is_no_success(void **state)
{
    (void)state;
    EXPECT(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, {PUT, .status = 204},
           SHOWS("active", "1", NOTHING_SHA512));
    EXPECT(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, {PUT, .status = 409}, SHOWS("active", "0", "00"));
    EXPECT(EREMOTEIO, EXC_IMAGE_UPLOAD_FAILED, 0, {PUT, .status = 204}, QUEUED);
}

static void refusals_are_final(void **state)
{
    (void)state;
    EXPECT(EPROTOTYPE, EXC_GLANCE_HTTP_EXCEPTION, 415, {PUT, .status = 415});
    EXPECT(EACCES, EXC_IMAGE_NOT_AUTHORIZED, 403, {PUT, .status = 403});
    EXPECT(ENOENT, EXC_IMAGE_NOT_FOUND, 404, {PUT, .status = 404});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_put_and_verified),
        cmocka_unit_test(it_is_repeated_only_while_queued),
        cmocka_unit_test(other_data_is_no_success),
        cmocka_unit_test(refusals_are_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
