/* SPDX-License-Identifier: Apache-2.0 */
/* agent/clean/host.c, judge.c: folders and block jobs that are nobody's, and each that may be
 * somebody's. */
#include "agent/clean/host.h"

#include "agent/clean/files.h"
#include "common/cancel.h"
#include "world.h"

static void make_folder(const char *name, const char *file)
{
    char path[512];
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
    char path[512];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", clean_world.parent, name);
    return lstat(path, &st) == 0;
}

static int rename_folder(const char *name, const char *new_name)
{
    char from[512], to[512];
    (void)snprintf(from, sizeof(from), "%s/%s", clean_world.parent, name);
    (void)snprintf(to, sizeof(to), "%s/%s", clean_world.parent, new_name);
    return rename(from, to);
}

static int open_file(const char *folder, const char *file, int flags)
{
    char path[512];
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
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "nova-compute made it, and has begun anew since");
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
    char path[512], socket_folder[80];
    make_folder(clean_world.ours, FILE_NAME);
    (void)snprintf(socket_folder, sizeof(socket_folder), "%s/nbd", clean_world.ours);
    make_folder(socket_folder, NULL);
    (void)snprintf(path, sizeof(path), "%s/%s/nbd/s", clean_world.parent, clean_world.ours);
    assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
    clean_world.look.nova.seen = false; /* it needs no word of nova-compute's */
    clean_world_write_users("{}");
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "its journal does not know it any more");
    clean_host_remove(&clean_world.look);
    assert_false(is_there(clean_world.ours));
}

/* Of another state_dir, of another host name on this machine, of another machine. */
static void another_agents_folder_is_left(void **state)
{
    (void)state;
    make_folder(THEIRS, FILE_NAME);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "an agent with another state_dir");
    clean_host_remove(&clean_world.look);
    assert_true(is_there(THEIRS));
    assert_int_equal(rename_folder(THEIRS, clean_world.ours), 0);
    clean_world.agent.key.known = false;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "an agent with another state_dir");
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
    char path[512];
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
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "no process has one open");
    int fd = open_file(NOVAS, FILE_NAME, O_RDONLY); /* since it was looked at */
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "a process has " FILE_NAME " open");
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

/* The definition has it by a path that leads nowhere from here, or by one that leads there. */
static void a_guests_disk_is_known_by_the_folders_name(void **state)
{
    (void)state;
    char link[256];
    make_folder(NOVAS, FILE_NAME);
    clean_world.script.n_files = 1;
    clean_world.files[0] = (struct driver_file){DRIVER_FILE_DISK, FIXTURE_INSTANCE, "vda",
                                                "/former/instances/" NOVAS "/" FILE_NAME};
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "disk vda of instance " FIXTURE_INSTANCE);

    (void)snprintf(link, sizeof(link), "%s/link", clean_world.parent);
    (void)snprintf(clean_world.paths[0], sizeof(clean_world.paths[0]), "%s/" NOVAS "/" FILE_NAME,
                   clean_world.parent);
    assert_int_equal(symlink(clean_world.paths[0], link), 0);
    clean_world.files[0].path = link;
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "disk vda of instance " FIXTURE_INSTANCE);
    clean_host_remove(&clean_world.look);
    assert_true(is_there(NOVAS "/" FILE_NAME));
}

/* It may be one of the same name in another container. */
static void a_job_that_writes_elsewhere_is_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME ".delta");
    clean_world.script.n_files = 1;
    clean_world.files[0] = (struct driver_file){DRIVER_FILE_COPY, FIXTURE_INSTANCE, "vda",
                                                "/elsewhere/" NOVAS "/" FILE_NAME ".delta"};
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    find();
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "its file is not in");
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "a block job of instance " FIXTURE_INSTANCE);
}

static void what_dates_from_a_nova_compute_that_runs_is_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    clean_world.look.nova.since = time(NULL) - 100;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "nova-compute (pid 4711), which runs since");
    clean_world.look.nova.since = time(NULL) + 1; /* seconds are rounded */
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "nova-compute (pid 4711), which runs since");
}

/* That none runs is nothing that can be seen: it may be hidden. */
static void without_a_nova_compute_its_folders_are_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    clean_world.look.nova = (struct clean_process){.seen = false};
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "no nova-compute is seen");
}

static void a_clock_that_may_have_been_set_proves_nothing(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "");
    clean_world.look.nova.since_ms = clean_world.look.begun.now_ms; /* nobody has seen it before */
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "the clock may have been set between");
    clean_world.look.nova.since_ms++;
    clean_world.look.begun.files -= 5;
    clean_world.look.begun.now_ms -= 1;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "the clock was set");
    clean_world.look.begun.files += 10;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "the clock was set");
}

static void on_a_share_all_is_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    clean_world_write_users("{\"cmp1\": 1.0, \"cmp2\": 1.0}");
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "names cmp2");
    clean_world.is_shared = true;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "it is a share");
    assert_int_equal(rename_folder(NOVAS, clean_world.ours), 0);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "it is a share");
}

static void a_folder_the_journal_knows_is_left(void **state)
{
    (void)state;
    make_folder(clean_world.ours, FILE_NAME);
    begin_request(clean_world.ours);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "the journal knows it");
}

static void a_folder_of_this_agent_is_left(void **state)
{
    (void)state;
    make_folder(clean_world.ours, FILE_NAME);
    clean_world.look.begun.files = time(NULL) - 100;
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "since this agent began");
}

static void folders_where_everybody_makes_them_are_left(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    assert_int_equal(chmod(clean_world.parent, 01777), 0);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "everybody may make folders");
}

/* Where the test is not root it cannot make one. */
static void a_folder_of_another_user_is_left(void **state)
{
    (void)state;
    char path[512];
    make_folder(NOVAS, FILE_NAME);
    (void)snprintf(path, sizeof(path), "%s/" NOVAS, clean_world.parent);
    bool is_given = chown(path, 65534, (gid_t)-1) == 0;
    find();
    if (is_given)
        clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "another user's");
    else
        clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "");
}

/* As in a lab that is in such a folder itself. */
static void the_last_folder_on_the_way_is_the_snapshots(void **state)
{
    (void)state;
    char folder[NAME_MAX + 1];
    char path[] = "/var/tmp/tmpqqqqqqqq/snapshots/" NOVAS "/" FILE_NAME;
    const struct clean_file file = {.path = path};
    clean_files_folder(&file, folder);
    assert_string_equal(folder, NOVAS);
    assert_true(clean_files_is_in(&file, NOVAS));
    assert_false(clean_files_is_in(&file, FILE_NAME)); /* a file is no folder */
}

static void a_job_of_nobody_ends_and_its_folder_goes(void **state)
{
    (void)state;
    const struct {
        enum driver_file_use use;
        const char *folder;
    } jobs[] = {{DRIVER_FILE_COPY, NOVAS}, {DRIVER_FILE_BACKUP, clean_world.ours}};
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
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "nova-compute (pid 4711), which runs since");
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
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "a request on the server is under way");
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "a block job of instance " FIXTURE_INSTANCE);
    assert_int_equal(record().calls[FAKE_END_JOB], 0);
    assert_true(is_there(NOVAS "/" FILE_NAME ".delta"));
    instance_turn_free(turn);
}

/* All that was true when it was found is asked again. */
static void a_job_that_has_become_somebodys_goes_on(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME ".delta");
    use_file(DRIVER_FILE_COPY, NOVAS, FILE_NAME ".delta");
    find();
    clean_world_is(CLEAN_JOB, CLEAN_NOBODYS, "");
    begin_request("nothing");
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "the journal knows it");
    assert_int_equal(record().calls[FAKE_END_JOB], 0);
}

static void a_disk_that_has_come_since_keeps_its_folder(void **state)
{
    (void)state;
    make_folder(NOVAS, FILE_NAME);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "");
    use_file(DRIVER_FILE_DISK, NOVAS, FILE_NAME);
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "disk vda of instance");
    assert_true(is_there(NOVAS "/" FILE_NAME));
}

static void the_end_of_the_agent_ends_it_between_two_things(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    struct cancel *cancel = NULL;
    make_folder(NOVAS, FILE_NAME);
    find();
    clean_world_is(CLEAN_FOLDER, CLEAN_NOBODYS, "");
    assert_int_equal(cancel_new(&cancel, &err), 0);
    (void)error_set(&err, ECANCELED, EXC_INTERNAL_ERROR, "the agent ends");
    cancel_request(cancel, &err);
    (void)cancel_enter(cancel);
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_FOLDER, CLEAN_FAILED, "");
    assert_string_equal(clean_world_item(CLEAN_FOLDER)->failure, "the agent ends");
    clean_list_done(&clean_world.look.list);
    clean_host_find(&clean_world.look);
    (void)cancel_enter(NULL);
    cancel_free(cancel);
    assert_int_equal(json_array_size(clean_world.look.list.troubles), 1);
    assert_true(is_there(NOVAS "/" FILE_NAME));
}

static void a_job_that_does_not_end_keeps_its_folder(void **state)
{
    (void)state;
    make_folder(clean_world.ours, FILE_NAME ".delta");
    use_file(DRIVER_FILE_BACKUP, clean_world.ours, FILE_NAME ".delta");
    (void)error_set(&clean_world.script.errors[FAKE_END_JOB], EIO, EXC_LIBVIRT_ERROR, "it hangs");
    fake_driver_set_script(clean_world.agent.driver, &clean_world.script);
    find();
    clean_host_remove(&clean_world.look);
    clean_world_is(CLEAN_JOB, CLEAN_FAILED, "");
    assert_string_equal(clean_world_item(CLEAN_JOB)->failure, "it hangs");
    clean_world_is(CLEAN_FOLDER, CLEAN_LEFT, "a block job of instance");
    assert_true(is_there(clean_world.ours));
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

/* The guests are asked all the same: their jobs may write to one that is not seen from here. */
static void without_the_directory_jobs_are_seen(void **state)
{
    (void)state;
    static char nowhere[] = "/nonexistent/snapshots";
    clean_world.conf.libvirt.snapshots_directory = nowhere;
    find();
    assert_int_equal(clean_world.look.list.count, 0);
    use_file(DRIVER_FILE_COPY, NOVAS, FILE_NAME ".delta");
    find();
    clean_world_is(CLEAN_JOB, CLEAN_LEFT, "");
    assert_int_equal(clean_world.look.list.count, 1);
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
        TEST(another_agents_folder_is_left),
        TEST(a_guests_disk_is_known_by_the_folders_name),
        TEST(a_job_that_writes_elsewhere_is_left),
        TEST(what_dates_from_a_nova_compute_that_runs_is_left),
        TEST(without_a_nova_compute_its_folders_are_left),
        TEST(a_clock_that_may_have_been_set_proves_nothing),
        TEST(on_a_share_all_is_left),
        TEST(a_job_that_has_become_somebodys_goes_on),
        TEST(a_disk_that_has_come_since_keeps_its_folder),
        TEST(the_end_of_the_agent_ends_it_between_two_things),
        TEST(a_folder_the_journal_knows_is_left),
        TEST(a_folder_of_this_agent_is_left),
        TEST(folders_where_everybody_makes_them_are_left),
        TEST(a_folder_of_another_user_is_left),
        TEST(the_last_folder_on_the_way_is_the_snapshots),
        TEST(a_job_of_nobody_ends_and_its_folder_goes),
        TEST(a_job_of_a_nova_compute_that_runs_is_left),
        TEST(a_guest_with_a_request_keeps_its_job),
        TEST(a_guest_that_is_in_work_meanwhile_keeps_its_job),
        TEST(a_job_that_does_not_end_keeps_its_folder),
        TEST(without_the_guests_nothing_is_judged),
        TEST(without_the_directory_jobs_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
