/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver/snapshot/stopped_stream.c: the image of a guest that does not run, which may be started
 * while its disk is read.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "driver/image/qemu_img.h"
#include "driver/libvirt_driver_private.h"
#include "tests/unit/driver/scripted_libvirt.h"

static struct libvirt_driver driver = {.stall_timeout_s = 1};
static struct guest_info info;
static const struct snapshot_plan plan = {.method = SNAPSHOT_METHOD_STREAM,
                                          .image_format = "qcow2"};
static struct snapshot_result result;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    world_reset();
    world.active = false;
    world.state = VIR_DOMAIN_SHUTOFF;
    err = (struct error)ERROR_INIT;
    result = (struct snapshot_result){0};
    info = (struct guest_info){
        .uuid = UUID, .power_state = POWER_STATE_SHUTDOWN, .domain_id = -1, .disk_target = "vda"};
    (void)snprintf(info.disk_format, sizeof(info.disk_format), "qcow2");
    (void)snprintf(info.disk_path, sizeof(info.disk_path), "%s", temp_path("disk"));
    return write_file(info.disk_path, &err);
}

static int begin(void)
{
    return libvirt_stopped_stream(&driver, &info, &plan, &result, &err);
}

/* Byte by byte, "image" in all; how many came. */
static unsigned read_on(unsigned bytes)
{
    char byte;
    unsigned count = 0;
    for (ssize_t n = 1; n > 0 && bytes > 0; bytes--, count += n > 0)
        n = result.image->ops->read(result.image, &byte, 1, &err);
    return count;
}

static void a_guest_that_stays_off(void **state)
{
    (void)state;
    assert_int_equal(begin(), 0);
    assert_true(result.streamed && result.guest_is_back);
    assert_int_equal(result.image->size_bytes, 5);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(read_on(10), 5);
        assert_int_equal(err.errnum, 0);
        assert_int_equal(result.image->ops->rewind(result.image, &err), 0);
    }
    assert_true(place_of("watch") < place_of("GetState"));
    assert_true(place_of("GetState") < place_of("stream file"));
    image_source_close(result.image);
}

/* The last byte is not given. */
static void assert_fails(int errnum, const char *told)
{
    assert_in_range(read_on(10), 0, 4);
    assert_int_equal(err.errnum, errnum);
    assert_non_null(strstr(err.message, told));
    image_source_close(result.image);
}

static void a_guest_that_is_started(void **state)
{
    for (unsigned at = 0; at < 5; at++) {
        set_up(state);
        assert_int_equal(begin(), 0);
        assert_int_equal(read_on(at), at);
        domain_watches_started(world.watches, UUID); /* and has stopped since */
        assert_fails(ESTALE, "was started while its disk was read");

        set_up(state); /* and nobody told */
        assert_int_equal(begin(), 0);
        assert_int_equal(read_on(at), at);
        world.active = true;
        world.state = VIR_DOMAIN_RUNNING;
        assert_fails(ESTALE, "was started, stopped, paused or resumed");
    }
}

/* Long before the last byte, where there is much to read. */
static void what_is_lost_is_not_read_on(void **state)
{
    (void)state;
    const struct timespec over = {.tv_sec = 1, .tv_nsec = 100000000};
    assert_int_equal(begin(), 0);
    assert_int_equal(read_on(1), 1);
    domain_watches_started(world.watches, UUID);
    (void)nanosleep(&over, NULL);
    assert_int_equal(read_on(10), 0);
    assert_int_equal(err.errnum, ESTALE);
    image_source_close(result.image);
}

/* No method that takes it for a stopped one may go on. */
static void a_guest_that_runs_before_the_beginning(void **state)
{
    (void)state;
    world.active = true;
    world.state = VIR_DOMAIN_RUNNING;
    assert_int_equal(begin(), -ESTALE);
    assert_false(was_called("stream file"));
}

static void another_guest_is_none_of_its_business(void **state)
{
    (void)state;
    assert_int_equal(begin(), 0);
    domain_watches_started(world.watches, "7c5f4f2c-0000-4000-8000-000000000000");
    assert_int_equal(read_on(10), 5);
    image_source_close(result.image);
}

static void libvirt_is_lost_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(begin(), 0);
    domain_watches_disconnected(world.watches);
    assert_fails(ESTALE, "libvirt was lost");

    set_up(state);
    assert_int_equal(begin(), 0);
    world.fail_name = "GetState";
    assert_fails(EIO, "cannot read the domain's state");

    set_up(state);
    assert_int_equal(begin(), 0);
    world.exists = false;
    assert_fails(ENOENT, "has no libvirt domain");
    assert_string_equal(err.exc, EXC_INSTANCE_NOT_FOUND);
}

/* qemu-img may still do. */
static void a_disk_that_cannot_be_shown(void **state)
{
    (void)state;
    world.fail_name = "stream file";
    assert_int_equal(begin(), -EOPNOTSUPP);
    set_up(state);
    world.fail_name = "watch";
    assert_int_equal(begin(), -EIO);
    assert_null(result.image);
}

static int set_up_group(void **state)
{
    struct error failure = ERROR_INIT;
    return temp_folder_make(state) < 0 ? -1 : domain_watches_new(&world.watches, &failure);
}

static int tear_down_group(void **state)
{
    domain_watches_free(world.watches);
    return temp_folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_guest_that_stays_off, set_up),
        cmocka_unit_test_setup(a_guest_that_is_started, set_up),
        cmocka_unit_test_setup(what_is_lost_is_not_read_on, set_up),
        cmocka_unit_test_setup(a_guest_that_runs_before_the_beginning, set_up),
        cmocka_unit_test_setup(another_guest_is_none_of_its_business, set_up),
        cmocka_unit_test_setup(libvirt_is_lost_meanwhile, set_up),
        cmocka_unit_test_setup(a_disk_that_cannot_be_shown, set_up),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
