/* SPDX-License-Identifier: Apache-2.0 */
/* driver/image/qemu_user.c */
#include <errno.h>
#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/image/qemu_user.h"
#include "driver/libvirt/domain.h"
#include "tests/unit/driver/temp_folder.h"

#define QEMU 64055
#define KVM 110

static struct {
    const char *labels[3]; /* NULL-ended */
    bool fails;
    bool gives_away, gives_to_group; /* what chown() may do */
    uid_t uid;                       /* what it was asked last */
    gid_t gid;
} script;

const virError *__wrap_virGetLastError(void);
const virError *__wrap_virGetLastError(void)
{
    return NULL;
}

int __wrap_virDomainGetSecurityLabelList(virDomainPtr domain, virSecurityLabelPtr *labels);
int __wrap_virDomainGetSecurityLabelList(virDomainPtr domain, virSecurityLabelPtr *labels)
{
    int count = 0;
    (void)domain;
    if (script.fails)
        return -1;
    *labels = calloc(3, sizeof(**labels));
    assert_non_null(*labels);
    for (; script.labels[count]; count++)
        (void)snprintf((*labels)[count].label, VIR_SECURITY_LABEL_BUFLEN, "%s",
                       script.labels[count]);
    return count;
}

int __wrap_chown(const char *path, uid_t uid, gid_t gid);
int __wrap_chown(const char *path, uid_t uid, gid_t gid)
{
    (void)path;
    script.uid = uid;
    script.gid = gid;
    if (uid == (uid_t)-1 ? script.gives_to_group : script.gives_away)
        return 0;
    errno = EPERM;
    return -1;
}

static struct qemu_user find(const char *disk)
{
    struct qemu_user user = {0};
    struct error err = ERROR_INIT;
    assert_int_equal(libvirt_domain_user(NULL, disk, &user, &err), 0);
    return user;
}

static void label_tells_the_user(void **state)
{
    (void)state;
    script.labels[0] = "libvirt-5f2a0c1e";
    script.labels[1] = "+64055:+110";
    struct qemu_user user = find("/dev/null");
    assert_int_equal(user.uid, QEMU);
    assert_int_equal(user.gid, KVM);
}

static void without_a_label_it_is_the_disks_owner(void **state)
{
    (void)state;
    script.labels[0] = "system_u:system_r:svirt_t:s0:c1,c2";
    const char *disk = temp_path("disk");
    FILE *file = fopen(disk, "we");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(find(disk).uid, geteuid());
    assert_int_equal(find("/nowhere").uid, geteuid());
    assert_int_equal(find("/nowhere").gid, getegid());
}

static void libvirt_that_does_not_answer_is_told(void **state)
{
    struct qemu_user user;
    struct error err = ERROR_INIT;
    (void)state;
    script.fails = true;
    assert_int_equal(libvirt_domain_user(NULL, "/dev/null", &user, &err), -EIO);
}

static unsigned mode_after_giving(unsigned mode, int expected)
{
    const struct qemu_user user = {QEMU, KVM};
    const char *path = temp_path("file");
    struct error err = ERROR_INIT;
    struct stat st;
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    assert_int_equal(qemu_user_give(&user, path, &err), expected);
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void what_may_be_given_away_is(void **state)
{
    (void)state;
    script.gives_away = true;
    assert_int_equal(mode_after_giving(0644, 0), 0644);
    assert_int_equal(script.uid, QEMU);
    assert_int_equal(script.gid, KVM);
}

static void what_may_not_is_given_to_the_group(void **state)
{
    (void)state;
    script.gives_to_group = true;
    assert_int_equal(mode_after_giving(0644, 0), 0664);
    assert_int_equal(script.gid, KVM);
    assert_int_equal(mode_after_giving(0700, 0), 0770);
}

static void who_is_not_of_the_group_can_give_nothing(void **state)
{
    (void)state;
    assert_int_equal(mode_after_giving(0644, -EPERM), 0644);
}

static void own_files_need_not_be_given(void **state)
{
    const struct qemu_user user = {geteuid(), KVM};
    struct error err = ERROR_INIT;
    (void)state;
    assert_int_equal(qemu_user_give(&user, temp_path("file"), &err), 0);
    assert_int_equal(script.gid, 0);
}

static void what_is_taken_back_is_private(void **state)
{
    struct stat st;
    (void)state;
    (void)mode_after_giving(0664, -EPERM);
    qemu_user_take_back(temp_path("file")); /* which we may not */
    assert_int_equal(stat(temp_path("file"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0664);
    script.gives_away = true;
    qemu_user_take_back(temp_path("file"));
    assert_int_equal(script.uid, geteuid());
    assert_int_equal(stat(temp_path("file"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    qemu_user_take_back("/nowhere");
}

static int set_up(void **state)
{
    (void)state;
    memset(&script, 0, sizeof(script));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(label_tells_the_user, set_up),
        cmocka_unit_test_setup(without_a_label_it_is_the_disks_owner, set_up),
        cmocka_unit_test_setup(libvirt_that_does_not_answer_is_told, set_up),
        cmocka_unit_test_setup(what_may_be_given_away_is, set_up),
        cmocka_unit_test_setup(what_may_not_is_given_to_the_group, set_up),
        cmocka_unit_test_setup(who_is_not_of_the_group_can_give_nothing, set_up),
        cmocka_unit_test_setup(own_files_need_not_be_given, set_up),
        cmocka_unit_test_setup(what_is_taken_back_is_private, set_up),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
