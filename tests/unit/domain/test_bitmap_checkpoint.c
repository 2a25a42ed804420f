/* SPDX-License-Identifier: Apache-2.0 */
/* domain/bitmap_checkpoint.c: ours are known by what they tell, another's is left alone. */
#include <errno.h>
#include <libvirt/virterror.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "domain/bitmap_checkpoint.h"
#include "driver/libvirt/domain.h"

static struct error err;
static struct session session;
static struct libvirt_driver driver;
static const char *kept; /* the XML of the only checkpoint, "monday"; NULL: there is none */
static unsigned deleted;
static bool runs;
static int last_code;
static const char *refusal; /* of a deletion by libvirt; NULL: none */

static virDomainCheckpointPtr some_checkpoint(void)
{
    static int anything;
    return (virDomainCheckpointPtr)(void *)&anything;
}

virDomainCheckpointPtr __wrap_virDomainCheckpointLookupByName(virDomainPtr domain, const char *name,
                                                              unsigned flags);
virDomainCheckpointPtr __wrap_virDomainCheckpointLookupByName(virDomainPtr domain, const char *name,
                                                              unsigned flags)
{
    (void)domain;
    (void)flags;
    last_code = VIR_ERR_NO_DOMAIN_CHECKPOINT;
    return kept && strcmp(name, "monday") == 0 ? some_checkpoint() : NULL;
}

int __wrap_virGetLastErrorCode(void);
int __wrap_virGetLastErrorCode(void)
{
    return last_code;
}

char *__wrap_virDomainCheckpointGetXMLDesc(virDomainCheckpointPtr checkpoint, unsigned flags);
char *__wrap_virDomainCheckpointGetXMLDesc(virDomainCheckpointPtr checkpoint, unsigned flags)
{
    assert_ptr_equal(checkpoint, some_checkpoint());
    assert_int_equal(flags, VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN);
    return strdup(kept);
}

int __wrap_virDomainCheckpointDelete(virDomainCheckpointPtr checkpoint, unsigned flags);
int __wrap_virDomainCheckpointDelete(virDomainCheckpointPtr checkpoint, unsigned flags)
{
    assert_ptr_equal(checkpoint, some_checkpoint());
    if (refusal && flags == 0) {
        last_code = VIR_ERR_INTERNAL_ERROR;
        return -1;
    }
    assert_int_equal(flags, refusal ? VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY : 0);
    deleted++;
    return 0;
}

/* Without a libvirt there is none. */
virErrorPtr __wrap_virGetLastError(void);
virErrorPtr __wrap_virGetLastError(void)
{
    return NULL;
}

const char *__wrap_virGetLastErrorMessage(void);
const char *__wrap_virGetLastErrorMessage(void)
{
    return refusal;
}

int __wrap_virDomainCheckpointFree(virDomainCheckpointPtr checkpoint);
int __wrap_virDomainCheckpointFree(virDomainCheckpointPtr checkpoint)
{
    assert_ptr_equal(checkpoint, some_checkpoint());
    return 0;
}

int __wrap_libvirt_domain_find_again(struct libvirt_connection *connection, const char *uuid,
                                     virDomainPtr *domain, bool *ret_active, struct error *error);
int __wrap_libvirt_domain_find_again(struct libvirt_connection *connection, const char *uuid,
                                     virDomainPtr *domain, bool *ret_active, struct error *error)
{
    static int anything;
    (void)connection;
    (void)uuid;
    (void)error;
    *domain = (virDomainPtr)(void *)&anything;
    *ret_active = runs;
    return 0;
}

int __wrap_virDomainFree(virDomainPtr domain);
int __wrap_virDomainFree(virDomainPtr domain)
{
    (void)domain;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    session = (struct session){.driver = &driver};
    kept = refusal = NULL;
    deleted = 0;
    runs = true;
    return 0;
}

static void what_is_described_is_read_again(void **state)
{
    (void)state;
    char *xml = NULL;
    json_t *images = json_pack("{s:{s:s, s:s}, s:{s:s, s:s}}", "vda", "path", "/b/\"a\" <&>",
                               "format", "qcow2", "vdb", "path", "/b/b", "format", "qcow2");
    json_t *found = NULL;
    assert_int_equal(bitmap_checkpoint_describe("monday", "42", images, &xml, &err), 0);
    assert_non_null(strstr(xml, "<name>monday</name>"));
    assert_non_null(strstr(xml, "<disk name=\"vda\" checkpoint=\"bitmap\"/>"));
    assert_non_null(strstr(xml, "<disk name=\"vdb\" checkpoint=\"bitmap\"/>"));
    kept = xml;
    if (bitmap_checkpoint_images(&session, "monday", &found, &err) < 0)
        fail_msg("%s", err.message);
    assert_true(json_equal(found, images));
    assert_int_equal(bitmap_checkpoint_remove(&session, "monday", "43", &err), 0);
    assert_int_equal(deleted, 0);
    runs = false;
    assert_int_equal(bitmap_checkpoint_remove(&session, "monday", "42", &err), -EAGAIN);
    assert_int_equal(deleted, 0);
    runs = true;
    err = (struct error)ERROR_INIT;
    assert_int_equal(bitmap_checkpoint_remove(&session, "monday", "42", &err), 0);
    assert_int_equal(deleted, 1);
    json_decref(found);
    json_decref(images);
    free(xml);
}

static void one_whose_bitmap_was_lost_is_forgotten(void **state)
{
    (void)state;
    kept = "<domaincheckpoint><description>{\"nova_snapshot\": \"42\"}</description>"
           "</domaincheckpoint>";
    refusal = "internal error: bitmap 'monday' not found in backing chain of 'vda'";
    assert_int_equal(bitmap_checkpoint_remove(&session, "monday", "42", &err), 0);
    assert_int_equal(deleted, 1);
    refusal = "interner Fehler: Bitmap »monday« nicht gefunden";
    assert_int_equal(bitmap_checkpoint_remove(&session, "monday", "42", &err), 0);
    assert_int_equal(deleted, 2);
}

static void one_that_cannot_be_removed_now_is_kept(void **state)
{
    (void)state;
    kept = "<domaincheckpoint><description>{\"nova_snapshot\": \"42\"}</description>"
           "</domaincheckpoint>";
    refusal = "internal error: unable to execute QEMU command 'transaction': Bitmap 'monday' is "
              "currently in use by another operation and cannot be used";
    assert_true(bitmap_checkpoint_remove(&session, "monday", "42", &err) < 0);
    assert_int_equal(deleted, 0);
}

static void others_are_left_alone(void **state)
{
    static const char *const others[] = {
        "<domaincheckpoint><name>monday</name></domaincheckpoint>",
        "<domaincheckpoint><description>before the upgrade</description></domaincheckpoint>",
        "<domaincheckpoint><description>{\"images\": 1}</description></domaincheckpoint>",
        "<domaincheckpoint><description>[]</description></domaincheckpoint>",
        "<somethingelse/>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        json_t *images = NULL;
        kept = others[i];
        err = (struct error)ERROR_INIT;
        assert_int_equal(bitmap_checkpoint_images(&session, "monday", &images, &err), -EINVAL);
        assert_null(images);
        err = (struct error)ERROR_INIT;
        assert_int_equal(bitmap_checkpoint_remove(&session, "monday", "42", &err), 0);
        assert_int_equal(deleted, 0);
    }
}

static void names(void **state)
{
    static const char *const bad[] = {"", ".", "../x", "a/b"};
    json_t *images = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = (struct error)ERROR_INIT;
        assert_int_equal(bitmap_checkpoint_check_name(&session, bad[i], &err), -EINVAL);
    }
    err = (struct error)ERROR_INIT;
    assert_int_equal(bitmap_checkpoint_check_name(&session, "monday", &err), 0);
    assert_int_equal(bitmap_checkpoint_images(&session, "monday", &images, &err), -ENOENT);
    kept = "<domaincheckpoint/>";
    err = (struct error)ERROR_INIT;
    assert_int_equal(bitmap_checkpoint_check_name(&session, "monday", &err), -EEXIST);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, set_up)
    const struct CMUnitTest tests[] = {
        TEST(what_is_described_is_read_again),
        TEST(one_whose_bitmap_was_lost_is_forgotten),
        TEST(one_that_cannot_be_removed_now_is_kept),
        TEST(others_are_left_alone),
        TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
