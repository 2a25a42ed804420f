/* SPDX-License-Identifier: Apache-2.0 */
/* driver/volume/delete.c, merge_job.c: success is a chain without the layer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/driver/scripted_volume.h"

static struct libvirt_driver driver = {.stall_timeout_s = 1};
static struct volume_merge merge;
static struct error err;

static const char *const before[] = {"vol.b", "vol.a", "vol"};
static const char *const without_a[] = {"vol.b", "vol"};

static int set_up(void **state)
{
    (void)state;
    volume_reset();
    merge = (struct volume_merge){.volume_id = VOLUME_ID, .file_to_merge = "vol"};
    return 0;
}

static int take_out(void)
{
    err = (struct error)ERROR_INIT;
    return libvirt_volume_delete(&driver, UUID, &merge, &err);
}

static void assert_fails(int r, const char *exc, const char *text)
{
    int got = take_out();
    if (got != r || strcmp(err.exc, exc) != 0 || !strstr(err.message, text))
        fail_msg("%d %s \"%s\" is not %d %s \"%s\"", got, err.exc, err.message, r, exc, text);
}

static void assert_no_job_was_begun(void)
{
    assert_int_equal(place_of("BlockRebase"), -1);
    assert_int_equal(place_of("BlockCommit"), -1);
    assert_false(was_called("BlockJobAbort"));
    assert_layers(3, before);
}

static void layer_below_is_pulled(void **state)
{
    (void)state;
    assert_int_equal(take_out(), 0);
    assert_layers(2, without_a);
    assert_string_equal(volume.base, "vdb[1]");
    assert_int_equal(volume.flags, VIR_DOMAIN_BLOCK_REBASE_RELATIVE);
}

static void all_layers_are_pulled(void **state)
{
    (void)state;
    merge.file_to_merge = NULL;
    assert_int_equal(take_out(), 0);
    assert_layers(1, before);
    assert_string_equal(volume.base, "(null)");
    assert_int_equal(volume.flags, 0);
}

static void layer_is_committed(void **state)
{
    (void)state;
    merge.file_to_merge = "vol.a";
    merge.merge_target_file = "vol";
    assert_int_equal(take_out(), 0);
    assert_layers(2, without_a);
    assert_string_equal(volume.top, "vdb[2]");
    assert_string_equal(volume.base, "vdb[1]");
    assert_int_equal(volume.flags, VIR_DOMAIN_BLOCK_COMMIT_RELATIVE);
}

static void what_is_done_is_not_done_again(void **state)
{
    (void)state;
    merge.file_to_merge = "vol.a";
    assert_int_equal(take_out(), 0);
    assert_no_job_was_begun();

    set_up(state);
    merge.file_to_merge = NULL;
    volume_has(1, before);
    assert_int_equal(take_out(), 0);
    assert_false(was_called("BlockRebase"));

    set_up(state);
    merge.file_to_merge = "vol.a";
    merge.merge_target_file = "vol";
    assert_int_equal(take_out(), 0);
    world.call_count = 0;
    assert_int_equal(take_out(), 0);
    assert_false(was_called("BlockCommit"));
    assert_layers(2, without_a);
}

/* The agent that began it has died; the job goes on in QEMU. */
static void merge_of_an_earlier_call_is_waited_for(void **state)
{
    for (int commit = 0; commit <= 1; commit++) {
        set_up(state);
        merge.file_to_merge = commit ? "vol.a" : "vol";
        merge.merge_target_file = commit ? "vol" : NULL;
        volume.course = MERGE_OUTLIVES_LIBVIRTD; /* some looks later it has completed */
        begin_merge(commit ? VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT : VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, 1,
                    2);
        assert_int_equal(take_out(), 0);
        assert_layers(2, without_a);
        assert_false(was_called("BlockRebase"));
        assert_false(was_called("BlockCommit"));
    }
}

/* It fails, as the first one did in the end: then it is begun anew, once. */
static void merge_that_failed_is_begun_again(void **state)
{
    set_up(state);
    volume.course = MERGE_OUTLIVES_LIBVIRTD;
    begin_merge(VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, 1, 2);
    volume.course = MERGE_STALLS;
    assert_fails(-ETIMEDOUT, EXC_INTERNAL_ERROR, "made no progress");
    assert_false(was_called("BlockRebase")); /* that would not get on either */

    set_up(state);
    volume.course = MERGE_FAILS_LATER;
    begin_merge(VIR_DOMAIN_BLOCK_JOB_TYPE_PULL, 1, 2);
    assert_int_equal(take_out(), 0);
    assert_true(was_called("BlockRebase"));
    assert_layers(2, without_a);
}

static void merge_counts_when_the_chain_says_so(void **state)
{
    static const enum merge_course courses[] = {MERGE_COMPLETES_UNHEARD, MERGE_COMPLETES_WHEN_ENDED,
                                                MERGE_OUTLIVES_LIBVIRTD,
                                                MERGE_SEES_GUEST_END_AFTER};
    for (size_t i = 0; i < sizeof(courses) / sizeof(courses[0]); i++) {
        for (int commit = 0; commit <= 1; commit++) {
            set_up(state);
            make_volume();
            merge.file_to_merge = commit ? "vol.a" : "vol";
            merge.merge_target_file = commit ? "vol" : NULL;
            volume.course = courses[i];
            if (take_out() < 0)
                fail_msg("%d: %s", (int)courses[i], err.message);
            assert_layers(2, without_a);
        }
    }
    make_volume();
}

static void other_endings_are_failures(void **state)
{
    static const struct {
        enum merge_course course;
        int r;
        const char *exc, *text;
    } cases[] = {
        {MERGE_FAILS, -EIO, EXC_INTERNAL_ERROR,
         "ended before it was complete (block job status 1)"},
        {MERGE_VANISHES, -EIO, EXC_INTERNAL_ERROR, "has vanished"},
        {MERGE_COMPLETES_FALSELY, -EIO, EXC_INTERNAL_ERROR, "does not have the layers it should"},
        {MERGE_STALLS, -ETIMEDOUT, EXC_INTERNAL_ERROR, "made no progress for 1 s"},
        {MERGE_STALLS_FOR_GOOD, -ETIMEDOUT, EXC_INTERNAL_ERROR,
         "made no progress for 1 s and did not let itself be ended"},
        {MERGE_SEES_GUEST_END, -ENOENT, EXC_INSTANCE_NOT_RUNNING, "ended while layers"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_up(state);
        volume.course = cases[i].course;
        assert_fails(cases[i].r, cases[i].exc, cases[i].text);
        assert_layers(3, before);
        bool stalls = cases[i].course == MERGE_STALLS || cases[i].course == MERGE_STALLS_FOR_GOOD;
        assert_int_equal(was_called("BlockJobAbort"), stalls);
    }
}

static void cancelled_merge_is_ended(void **state)
{
    struct canceller canceller;
    canceller_enter(&canceller);
    set_up(state);
    driver.stall_timeout_s = 3600;
    volume.course = MERGE_STALLS;
    canceller_start(&canceller, -1);
    assert_fails(-ECANCELED, EXC_INTERNAL_ERROR, "the image is gone");
    driver.stall_timeout_s = 1;
    canceller_join(&canceller);
    canceller_leave(&canceller);
    assert_layers(3, before);
    assert_true(was_called("BlockJobAbort"));
}

static void foreign_job_is_left_alone(void **state)
{
    (void)state;
    world.foreign_job = true;
    assert_fails(-EBUSY, EXC_INTERNAL_ERROR, "another block job is running on disk vdb");
    assert_no_job_was_begun();
}

static void wrong_requests_are_refused(void **state)
{
    static const struct {
        const char *volume_id, *file_to_merge, *merge_target_file, *text;
    } cases[] = {
        {"unknown", "vol", NULL, "Disk with id 'unknown' not found attached to instance."},
        {VOLUME_ID, "nowhere", NULL, "is no layer of disk vdb"},
        {VOLUME_ID, "../vol", NULL, "no file name"},
        {VOLUME_ID, "vol.b", NULL, "what the guest writes to"},
        {VOLUME_ID, "vol.b", "vol.a", "cannot be merged into vol.a"},
        {VOLUME_ID, "vol", "vol.a", "not right below"},
        {VOLUME_ID, NULL, "vol", "no file to merge"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_up(state);
        merge = (struct volume_merge){.volume_id = cases[i].volume_id,
                                      .file_to_merge = cases[i].file_to_merge,
                                      .merge_target_file = cases[i].merge_target_file};
        int r = take_out();
        assert_true(r < 0);
        assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
        if (!strstr(err.message, cases[i].text))
            fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].text);
        assert_no_job_was_begun();
    }
    set_up(state);
    volume.two_volumes = true;
    assert_fails(-EINVAL, EXC_INTERNAL_ERROR, "more than one disk is this volume");
    set_up(state);
    volume.network = true;
    assert_fails(-ENOTSUP, EXC_INTERNAL_ERROR, "is no file");
    set_up(state);
    world.exists = false;
    assert_fails(-ENOENT, EXC_INSTANCE_NOT_RUNNING, "Instance " UUID " is not running.");
}

/* Whatever call fails: success exactly when the chain is as wanted. */
static void each_call_fails_in_turn(void **state)
{
    for (int with_effect = 0; with_effect <= 1; with_effect++) {
        for (int index = 0;; index++) {
            set_up(state);
            world.fail_index = index;
            world.fail_with_effect = with_effect;
            int r = take_out();
            if (world.call_count <= index) {
                assert_int_equal(r, 0);
                break;
            }
            if (r == 0)
                assert_layers(2, without_a);
            else
                assert_non_null(strstr(err.message, "injected in"));
        }
        assert_true(world.call_count >= 6);
    }
}

static void start_that_is_refused_is_told(void **state)
{
    (void)state;
    world.fail_name = "BlockRebase";
    assert_fails(-EIO, EXC_INTERNAL_ERROR, "injected in BlockRebase");
    assert_layers(3, before);
    assert_false(was_called("BlockJobAbort"));
}

/* The guest is stopped: real files, real qemu-img. */
static int set_up_offline(void **state)
{
    set_up(state);
    world.active = false;
    world.state = VIR_DOMAIN_SHUTOFF;
    make_volume();
    return 0;
}

/* The names the headers have from `name` on. */
static void assert_headers(const char *name, const char *const *names, size_t count)
{
    struct qemu_img_info info;
    for (size_t i = 0; i <= count; i++) {
        const char *format = strcmp(name, "vol") == 0 ? "raw" : "qcow2";
        assert_int_equal(qemu_img_info(temp_path(name), format, &info, &err), 0);
        assert_string_equal(info.backing_path, i < count ? temp_path(names[i]) : "");
        if (i < count)
            name = names[i];
    }
}

static void stopped_guest_is_rebased(void **state)
{
    (void)state;
    static const char *const to_vol[] = {"vol"};
    assert_int_equal(take_out(), 0);
    assert_headers("vol.b", to_vol, 1);
    assert_false(was_called("BlockRebase"));
    char raw[4096];
    FILE *file = fopen(temp_path("vol.b"), "re");
    assert_non_null(file);
    assert_int_equal(fread(raw, 1, sizeof(raw), file), sizeof(raw));
    fclose(file);
    assert_null(memmem(raw, sizeof(raw), temp_folder, strlen(temp_folder)));

    assert_int_equal(take_out(), 0); /* it is so already */
    merge.file_to_merge = NULL;
    assert_int_equal(take_out(), 0);
    assert_headers("vol.b", NULL, 0);
}

static void stopped_guest_is_not_committed(void **state)
{
    (void)state;
    static const char *const as_before[] = {"vol.a", "vol"};
    merge.file_to_merge = "vol.a";
    merge.merge_target_file = "vol";
    assert_fails(-EINVAL, EXC_INTERNAL_ERROR, "only while its guest runs");
    assert_headers("vol.b", as_before, 2);
}

static void forged_chain_of_stopped_guest_is_refused(void **state)
{
    (void)state;
    make_overlay("vol.a", "/etc/passwd", "raw", "1M");
    merge.file_to_merge = NULL;
    assert_fails(-EINVAL, EXC_INTERNAL_ERROR, "outside of the volume's directory");
    make_overlay("vol.b", "vol.a", "qcow2", "1M");
    forget_format("vol.b");
    assert_fails(-EINVAL, EXC_INTERNAL_ERROR, "names no format");
    volume.formats[0] = "raw"; /* so says the definition; the guest may have written a header */
    merge.file_to_merge = "vol";
    assert_fails(-ENOENT, EXC_INTERNAL_ERROR, "is no layer of disk vdb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(layer_below_is_pulled, set_up),
        cmocka_unit_test_setup(all_layers_are_pulled, set_up),
        cmocka_unit_test_setup(layer_is_committed, set_up),
        cmocka_unit_test_setup(what_is_done_is_not_done_again, set_up),
        cmocka_unit_test(merge_of_an_earlier_call_is_waited_for),
        cmocka_unit_test(merge_that_failed_is_begun_again),
        cmocka_unit_test(merge_counts_when_the_chain_says_so),
        cmocka_unit_test(other_endings_are_failures),
        cmocka_unit_test_setup(foreign_job_is_left_alone, set_up),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(each_call_fails_in_turn),
        cmocka_unit_test_setup(start_that_is_refused_is_told, set_up),
        cmocka_unit_test_setup(stopped_guest_is_rebased, set_up_offline),
        cmocka_unit_test_setup(stopped_guest_is_not_committed, set_up_offline),
        cmocka_unit_test_setup(forged_chain_of_stopped_guest_is_refused, set_up_offline),
        cmocka_unit_test(cancelled_merge_is_ended),
    };
    return cmocka_run_group_tests(tests, volume_group_set_up, volume_group_tear_down);
}
