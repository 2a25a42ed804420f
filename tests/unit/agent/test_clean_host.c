/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean_host.c: folders and block jobs that are nobody's, and each that may be somebody's. */
#include "agent/clean_host.h"

#include "clean_world.h"

static void make_folder(const char *name, const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", clean_world.parent, name);
    assert_int_equal(mkdir(path, 0700), 0);
    if (!file)
        return;
    (void)snprintf(path, sizeof(path), "%s/%s/%s", clean_world.parent, name, file);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "12345", 5), 5);
    (void)close(fd);
}

static bool is_there(const char *name)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", clean_world.parent, name);
    return lstat(path, &st) == 0;
}

static int open_file(const char *folder, const char *file, int flags)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", clean_world.parent, folder, file);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* A guest has this file. */
static void use_file(enum driver_file_use use, const char *folder, const char *file)
{
    size_t n = clean_world.script.n_files++;
    (void)snprintf(clean_world.paths[n], sizeof(clean_world.paths[n]), "%s/%s/%s",
                   clean_world.parent, folder, file);
    clean_world.files[n] = (struct driver_file){use, FIXTURE_INSTANCE, "vda", clean_world.paths[n]};
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
}

static struct fake_record record(void)
{
    struct fake_record record;
    fake_driver_get_record(clean_world.agent.driver, &record);
    return record;
}

/* The journal has a request on the instance, which names this folder. */
static void begin_request(const char *folder)
{
    struct error err = ERROR_INIT;
    struct journal_record *begun = NULL;
    struct rpc_request *request = fixture_request();
    assert_int_equal(journal_begin(state_dir.journal, request, &begun, &err), 0);
    assert_int_equal(
        journal_note(begun, "driver", json_pack("{s:s+}", "directory", "/x/", folder), &err), 0);
    journal_leave(begun);
    rpc_request_free(request);
}

static void find(void)
{
    clean_list_done(&clean_world.look.list);
    clean_host_find(&clean_world.look);
    assert_null(clean_world.look.list.troubles);
}

static void folders_of_crashed_snapshots_go(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME ".delta");
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "older than the nova-compute that runs");
    assert_int_equal(clean_world_item(CLEAN_FOLDER)->bytes, 4096);
    assert_true(is_there(NOVAS "/" FILE_NAME ".delta")); /* finding changes nothing */
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_FOLDER, CLEAN_DONE, "");
    assert_false(is_there(NOVAS));
    find();
    assert_int_equal(clean_world.look.list.count, 0);
}

static void an_agents_folder_goes_with_its_socket(void **state)
{
    (void)state;
    make_folder(OURS, FILE_NAME);
    make_folder(OURS "/nbd", NULL);
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/" OURS "/nbd/s", clean_world.parent);
    assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "the journal does not know it");
    clean_host_remove(&clean_world.look);
    assert_false(is_there(OURS));
}

static void other_folders_are_not_seen(void **state)
{
    (void)state;
    make_folder("tmpab12_xy", NULL);
    make_folder("tmpab12_xyZ", NULL);
    make_folder("nova-snapshot-0123", NULL);
    make_folder("backups", FILE_NAME);
    find();
    assert_int_equal(clean_world.look.list.count, 0);
}

static void what_no_snapshot_makes_keeps_its_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"disk", FILE_NAME ".qcow2", "0123"};
    make_folder(NOVAS, NULL);
    for (size_t i = 0; i < 3; i++) {
        (void)close(open_file(NOVAS, names[i], O_WRONLY | O_CREAT));
        find();
        clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "which no snapshot makes");
        assert_int_equal(unlinkat(open_file(".", NOVAS, O_RDONLY), names[i], 0), 0);
    }
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/" NOVAS "/" FILE_NAME, clean_world.parent);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "which no snapshot makes");
}

static void an_open_file_keeps_its_folder(void **state)
{
    (void)state;
    static const int ways[] = {O_RDONLY, O_WRONLY};
    make_folder(NOVAS, FILE_NAME);
    for (size_t i = 0; i < 2; i++) {
        int fd = open_file(NOVAS, FILE_NAME, ways[i]);
        find();
        clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "a process has " FILE_NAME " open");
        (void)close(fd);
    }
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "no process has a file of it open");
    int fd = open_file(NOVAS, FILE_NAME, O_RDONLY); /* since it was looked at */
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_FOLDER, CLEAN_FAILED, "");
    assert_true(is_there(NOVAS "/" FILE_NAME));
    (void)close(fd);
}

static void a_guests_disk_keeps_its_folder(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    use_file(DRIVER_FILE_DISK, NOVAS, FILE_NAME);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "disk vda of instance " FIXTURE_INSTANCE);
    assert_int_equal(clean_world.look.list.count, 1);
}

static void a_folder_of_a_nova_compute_that_runs_is_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    clean_world.look.nova.since = time(NULL) - 100;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "nova-compute, which runs since");
    clean_world.look.nova.state = CLEAN_PROCESS_UNKNOWN;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "cannot be seen from here");
    clean_world.look.nova = (struct clean_process){CLEAN_PROCESS_NONE, time(NULL) + 1};
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "no nova-compute runs");
}

static void a_folder_the_journal_knows_is_left(void **state)
{
    (void)state;
    make_folder(OURS, FILE_NAME);
    begin_request(OURS);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "the journal knows it");
}

static void a_folder_of_this_agent_is_left(void **state)
{
    (void)state;
    make_folder(OURS, FILE_NAME);
    clean_world.look.agent_since = time(NULL) - 100;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "since this agent began");
}

static void a_folder_of_another_agent_is_left(void **state)
{
    (void)state;
    make_folder(OURS, FILE_NAME);
    clean_world.look.other_agent = (struct clean_process){CLEAN_PROCESS_RUNS, time(NULL) - 100};
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "another agent, which runs since");
    clean_world.look.other_agent.since = time(NULL) + 100;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "");
}

static void folders_where_everybody_makes_them_are_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    assert_int_equal(chmod(clean_world.parent, 01777), 0);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "everybody may make folders");
}

static void a_job_of_nobody_ends_and_its_folder_goes(void **state)
{
    (void)state;
    static const struct {
        enum driver_file_use use;
        const char *folder;
    } jobs[] = {{DRIVER_FILE_COPY, NOVAS}, {DRIVER_FILE_BACKUP, OURS}};
    for (size_t i = 0; i < 2; i++) {
        make_folder(jobs[i].folder, FILE_NAME ".delta");
        use_file(jobs[i].use, jobs[i].folder, FILE_NAME ".delta");
        int fd = open_file(jobs[i].folder, FILE_NAME ".delta", O_RDWR); /* QEMU has it */
        find();
        clean_world_is(CLEAN_JOB, CLEAN_NOBODYS, "its folder is nobody's");
        clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "");
        assert_string_equal(clean_world_item(CLEAN_JOB)->instance, FIXTURE_INSTANCE);
        assert_string_equal(clean_world_item(CLEAN_JOB)->disk_target, "vda");
        assert_int_equal(record().calls[FAKE_END_JOB], i);
        (void)close(fd);
        clean_host_remove(&clean_world.look);
        clean_world_is(CLEAN_JOB, CLEAN_DONE, "");
        clean_world_is(CLEAN_FOLDER, CLEAN_DONE, "");
        assert_string_equal(record().ended_job, clean_world.paths[i]);
        assert_false(is_there(jobs[i].folder));
    }
}

static void a_job_of_a_nova_compute_that_runs_is_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME ".delta");
    use_file(DRIVER_FILE_COPY, NOVAS, FILE_NAME ".delta");
    clean_world.look.nova.since = time(NULL) - 100;
    find();
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "nova-compute, which runs since");
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "");
    clean_host_remove(&clean_world.look);
    assert_int_equal(record().calls[FAKE_END_JOB], 0);
    assert_true(is_there(NOVAS "/" FILE_NAME ".delta"));
}

static void a_guest_with_a_request_keeps_its_job(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME ".delta");
    use_file(DRIVER_FILE_COPY, NOVAS, FILE_NAME ".delta");
    begin_request("nothing");
    find();
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "the journal knows it");
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "a block job of instance " FIXTURE_INSTANCE);
}

static void a_guest_that_is_in_work_meanwhile_keeps_its_job(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct instance_turn *turn = NULL;
    make_folder(NOVAS, FILE_NAME ".delta");
    use_file(DRIVER_FILE_COPY, NOVAS, FILE_NAME ".delta");
    find();
    clean_world_is(CLEAN_JOB, CLEAN_NOBODYS, "");
    assert_int_equal(
        instance_queue_join(clean_world.agent.instance_queue, FIXTURE_INSTANCE, &turn, &err), 0);
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_JOB, CLEAN_FAILED, "");
    clean_world_is(CLEAN_FOLDER, CLEAN_FAILED, "");
    assert_int_equal(record().calls[FAKE_END_JOB], 0);
    assert_true(is_there(NOVAS "/" FILE_NAME ".delta"));
    instance_turn_free(turn);
}

static void a_job_that_does_not_end_keeps_its_folder(void **state)
{
    (void)state;
    make_folder(OURS, FILE_NAME ".delta");
    use_file(DRIVER_FILE_BACKUP, OURS, FILE_NAME ".delta");
    (void)error_set(&clean_world.script.errors[FAKE_END_JOB], EIO, EXC_LIBVIRT_ERROR, "it hangs");
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    find();
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_JOB, CLEAN_FAILED, "");
    assert_string_equal(clean_world_item(CLEAN_JOB)->failure, "it hangs");
    clean_world_is(CLEAN_FOLDER, CLEAN_FAILED, "");
    assert_true(is_there(OURS));
}

static void without_the_guests_nothing_is_judged(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    (void)error_set(&clean_world.script.errors[FAKE_VISIT_FILES], EIO, EXC_LIBVIRT_ERROR, "away");
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    clean_host_find(&clean_world.look);
    assert_int_equal(clean_world.look.list.count, 0);
    assert_int_equal(json_array_size(clean_world.look.list.troubles), 1);
}

static void no_directory_has_nothing(void **state)
{
    (void)state;
    static char nowhere[] = "/nonexistent/snapshots";
    clean_world.conf.libvirt.snapshots_directory = nowhere;
    find();
    assert_int_equal(clean_world.look.list.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, clean_world_set_up, clean_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(folders_of_crashed_snapshots_go),
        TEST(an_agents_folder_goes_with_its_socket),
        TEST(other_folders_are_not_seen),
        TEST(what_no_snapshot_makes_keeps_its_folder),
        TEST(an_open_file_keeps_its_folder),
        TEST(a_guests_disk_keeps_its_folder),
        TEST(a_folder_of_a_nova_compute_that_runs_is_left),
        TEST(a_folder_the_journal_knows_is_left),
        TEST(a_folder_of_this_agent_is_left),
        TEST(a_folder_of_another_agent_is_left),
        TEST(folders_where_everybody_makes_them_are_left),
        TEST(a_job_of_nobody_ends_and_its_folder_goes),
        TEST(a_job_of_a_nova_compute_that_runs_is_left),
        TEST(a_guest_with_a_request_keeps_its_job),
        TEST(a_guest_that_is_in_work_meanwhile_keeps_its_job),
        TEST(a_job_that_does_not_end_keeps_its_folder),
        TEST(without_the_guests_nothing_is_judged),
        TEST(no_directory_has_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
