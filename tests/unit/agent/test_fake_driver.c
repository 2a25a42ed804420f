/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/fake_driver.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_driver.h"

#define UUID "ff63a4bd-ab90-44ed-aff7-f7630d1f1df8"

static const struct guest_id guest = {.uuid = UUID, .root_device_name = "/dev/vdb"};

static void count_call(enum fake_call call, const char *uuid, void *userdata)
{
    unsigned *counts = userdata;
    assert_string_equal(uuid, call == FAKE_CHECK_HOST || call == FAKE_DESCRIBE_HOST ? "" : UUID);
    counts[call]++;
}

static void answers_as_scripted(void **state)
{
    (void)state;
    unsigned counts[FAKE_CALL_MAX] = {0};
    struct fake_script script = {.info = {.power_state = POWER_STATE_RUNNING, .disk_path = "/d"},
                                 .image = "0123456789",
                                 .image_size = 10,
                                 .quiesced = true,
                                 .plan_bytes = 77,
                                 .agent = GUEST_AGENT_AWAY,
                                 .on_call = count_call,
                                 .userdata = counts};
    struct driver *driver = NULL;
    struct error err = ERROR_INIT;
    struct guest_info info;
    struct snapshot_result result;
    struct fake_record record;
    enum power_state power_state;
    enum guest_agent agent;
    uint64_t bytes = 0;
    char text[16], words[DRIVER_TEXT_MAX], found[DRIVER_UUID_MAX];
    assert_int_equal(fake_driver_new(&script, &driver, &err), 0);
    assert_int_equal(driver->ops->check_host(driver, &err), 0);
    assert_int_equal(driver->ops->describe_host(driver, words, &err), 0);
    assert_int_equal(driver->ops->find_guest(driver, UUID, found, &err), 0);
    assert_int_equal(driver->ops->guest_agent(driver, UUID, &agent, &err), 0);
    assert_int_equal(agent, GUEST_AGENT_AWAY);
    assert_int_equal(driver->ops->get_power_state(driver, UUID, &power_state, &err), 0);
    assert_int_equal(power_state, POWER_STATE_RUNNING);
    assert_int_equal(driver->ops->inspect(driver, &guest, &info, &err), 0);
    assert_string_equal(info.uuid, UUID);
    assert_string_equal(info.disk_path, "/d");
    {
        char format[] = "qcow2";
        const struct snapshot_plan plan = {.image_format = format, .compress = true};
        assert_int_equal(driver->ops->check_plan(driver, &info, &plan, &bytes, &err), 0);
        assert_int_equal(bytes, 77);
        assert_int_equal(driver->ops->extract(driver, &info, &plan, &result, &err), 0);
        memset(format, 'x', sizeof(format) - 1);
    }
    assert_true(result.quiesced);
    assert_true(result.image->size_bytes == 10);
    assert_int_equal(result.image->ops->read(result.image, text, 7, &err), 7);
    assert_int_equal(result.image->ops->read(result.image, text + 7, 7, &err), 3);
    assert_memory_equal(text, "0123456789", 10);
    assert_int_equal(result.image->ops->rewind(result.image, &err), 0);
    assert_int_equal(result.image->ops->read(result.image, text, 16, &err), 10);
    fake_driver_get_record(driver, &record);
    assert_string_equal(record.plan.image_format, "qcow2");
    assert_true(record.plan.compress);
    assert_int_equal(record.images_made, 1);
    assert_int_equal(record.images_closed, 0);
    for (int i = 0; i <= FAKE_EXTRACT; i++) {
        assert_int_equal(record.calls[i], 1);
        assert_int_equal(counts[i], 1);
    }
    driver_free(driver); /* an image may outlive its driver */
    image_source_close(result.image);
}

static void count_file(void *arg, const struct driver_file *file)
{
    unsigned *n = arg;
    assert_string_equal(file->uuid, UUID);
    (*n)++;
}

static void keeps_what_it_was_asked(void **state)
{
    (void)state;
    unsigned n_files = 0;
    struct driver_file files[] = {{DRIVER_FILE_COPY, UUID, "vda", "/s/copy"}};
    struct fake_script script = {.location = "rbd://f/images/i/snap", .files = files, .n_files = 1};
    struct driver *driver = NULL;
    struct error err = ERROR_INIT;
    struct fake_record record;
    char *location = NULL;
    assert_int_equal(fake_driver_new(&script, &driver, &err), 0);
    assert_int_equal(driver->ops->freeze(driver, UUID, &err), 0);
    fake_driver_get_record(driver, &record);
    assert_true(record.frozen);
    const struct guest_info info = {.uuid = UUID};
    const struct direct_snapshot direct = {.image_id = "i", .quiesce = true};
    assert_int_equal(driver->ops->direct_snapshot(driver, &info, &direct, &location, &err), 0);
    assert_string_equal(location, script.location);
    assert_int_equal(driver->ops->undo_direct_snapshot(driver, location, NULL, &err), 0);
    free(location);
    assert_int_equal(driver->ops->thaw(driver, UUID, &err), 0);
    const struct volume_overlay overlay = {.volume_id = "v", .new_file = "v.s"};
    assert_int_equal(driver->ops->volume_snapshot_create(driver, UUID, &overlay, &err), 0);
    fake_driver_get_record(driver, &record);
    assert_false(record.frozen);
    assert_string_equal(record.undone_location, script.location);
    assert_string_equal(record.file, "v.s");
    const struct volume_merge merge = {.volume_id = "v", .merge_target_file = "v"};
    assert_int_equal(driver->ops->volume_snapshot_delete(driver, UUID, &merge, &err), 0);
    fake_driver_get_record(driver, &record);
    assert_string_equal(record.file, "");
    assert_string_equal(record.target, "v");
    struct image_source *image = NULL;
    json_t *entries = json_pack("[{}, {}]");
    const struct driver_recovery recovery = {UUID, entries, true, NULL};
    assert_int_equal(driver->ops->recover(driver, &recovery, &image, &err), 0);
    json_decref(entries);
    assert_null(image);
    fake_driver_get_record(driver, &record);
    assert_int_equal(record.recovered_entries, 2);
    assert_true(record.host_rebooted);
    assert_int_equal(driver->ops->visit_files(driver, count_file, &n_files, &err), 0);
    assert_int_equal(driver->ops->end_job(driver, &files[0], &err), 0);
    fake_driver_get_record(driver, &record);
    assert_int_equal(n_files, 1);
    assert_string_equal(record.ended_job, "/s/copy");
    for (int i = FAKE_FREEZE; i < FAKE_CALL_MAX; i++)
        assert_int_equal(record.calls[i], 1);
    driver_free(driver);
}

static void fails_as_scripted(void **state)
{
    (void)state;
    struct fake_script script = {.image = "0123456789", .image_size = 10};
    struct driver *driver = NULL;
    struct error err = ERROR_INIT;
    struct guest_info info = {.uuid = UUID};
    struct snapshot_result result;
    const struct snapshot_plan plan = {.image_format = "raw"};
    char text[16];
    (void)error_set(&script.errors[FAKE_INSPECT], ENOENT, EXC_INSTANCE_NOT_RUNNING, "gone");
    (void)error_set(&script.errors[FAKE_EXTRACT], EIO, EXC_INTERNAL_ERROR, "broken");
    assert_int_equal(fake_driver_new(&script, &driver, &err), 0);
    assert_int_equal(driver->ops->inspect(driver, &guest, &info, &err), -ENOENT);
    assert_string_equal(err.exc, EXC_INSTANCE_NOT_RUNNING);
    assert_int_equal(driver->ops->extract(driver, &info, &plan, &result, &err), -EIO);
    assert_string_equal(err.message, "broken");

    script = (struct fake_script){.image = "0123456789", .image_size = 10, .read_error_offset = 4};
    (void)error_set(&script.read_error, EIO, EXC_INTERNAL_ERROR, "bad block");
    fake_driver_set_script(driver, &script);
    assert_int_equal(driver->ops->extract(driver, &info, &plan, &result, &err), 0);
    assert_int_equal(result.image->ops->read(result.image, text, 16, &err), 4);
    assert_int_equal(result.image->ops->read(result.image, text, 16, &err), -EIO);
    assert_string_equal(err.message, "bad block");
    image_source_close(result.image);
    struct fake_record record;
    fake_driver_get_record(driver, &record);
    assert_int_equal(record.images_made, 1);
    assert_int_equal(record.images_closed, 1);
    driver_free(driver);
    driver_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_scripted),
        cmocka_unit_test(keeps_what_it_was_asked),
        cmocka_unit_test(fails_as_scripted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
