/* SPDX-License-Identifier: Apache-2.0 */
/* domain/disk_layers.c: all that a guest's disks are kept in, or why nobody can tell. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/json.h"
#include "domain/disk_layers.h"

#define VDA                                                                                        \
    "<disk type='file' device='disk'><driver type='qcow2'/><source file='/d/vda'/>"                \
    "<backingStore type='file'><format type='raw'/><source file='/d/base'/><backingStore/>"        \
    "</backingStore><target dev='vda'/></disk>"
#define CD_EMPTY "<disk type='file' device='cdrom'><target dev='sda'/></disk>"
#define NETWORK                                                                                    \
    "<disk type='network' device='disk'><driver type='raw'/><source protocol='nbd' name='x'/>"     \
    "<target dev='vdn'/></disk>"
#define SHARED                                                                                     \
    "<disk type='file' device='disk'><driver type='raw'/><source file='/d/s'/><shareable/>"        \
    "<target dev='vds'/></disk>"
#define DOMAIN(os, devices)                                                                        \
    "<domain type='qemu'><name>web</name><os>" os "</os><devices>" devices "</devices></domain>"

static struct error err;

static json_t *list(const char *xml)
{
    json_t *layers = NULL;
    err = (struct error)ERROR_INIT;
    (void)disk_layers_list(xml, &layers, &err);
    return layers;
}

static void is_layer(const json_t *layers, size_t i, const char *disk, const char *path)
{
    const json_t *layer = json_array_get(layers, i);
    assert_string_equal(json_string_member(layer, "disk"), disk);
    assert_string_equal(json_string_member(layer, "path"), path);
    assert_int_equal(json_is_true(json_object_get(layer, "is_top")), strcmp(path, "/d/base") != 0);
}

static void disks_with_all_their_layers(void **state)
{
    (void)state;
    static const char *const nvrams[] = {
        DOMAIN("<nvram>/d/vars</nvram>", VDA CD_EMPTY),
        DOMAIN("<nvram type='file'><source file='/d/vars'/></nvram>", VDA CD_EMPTY)};
    for (size_t i = 0; i < 2; i++) {
        json_t *layers = list(nvrams[i]);
        if (json_array_size(layers) != 3)
            fail_msg("%s", err.message);
        is_layer(layers, 0, "vda", "/d/vda");
        is_layer(layers, 1, "vda", "/d/base");
        is_layer(layers, 2, "nvram", "/d/vars");
        assert_null(disk_layers_device(layers));
        json_decref(layers);
    }
}

static void disks_nobody_could_tell_of(void **state)
{
    (void)state;
    assert_null(list(DOMAIN("", VDA NETWORK)));
    assert_int_equal(err.errnum, EINVAL);
    assert_non_null(strstr(err.message, "disk vdn is neither a file nor a device"));
    assert_null(list(DOMAIN("", SHARED)));
    assert_non_null(strstr(err.message, "disk vds is shared with others"));
    assert_null(list("<domain/>"));
}

static void disks_it_was_not_saved_with(void **state)
{
    (void)state;
    json_t *known = list(DOMAIN("", VDA));
    json_t *other = list(DOMAIN("<nvram>/d/vars</nvram>", VDA));
    assert_int_equal(disk_layers_check_known(known, other, &err), 0);
    assert_int_equal(disk_layers_check_known(other, known, &err), -EINVAL);
    assert_non_null(strstr(err.message, "disk nvram is to be /d/vars"));
    json_decref(known);
    json_decref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_with_all_their_layers),
        cmocka_unit_test(disks_nobody_could_tell_of),
        cmocka_unit_test(disks_it_was_not_saved_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
