/* SPDX-License-Identifier: Apache-2.0 */
/* driver/volume/disk.c, volume_overlay.c: a volume found in a definition, and asked for in XML. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "driver/definition/xml_node.h"
#include "driver/volume/disk.h"
#include "driver/volume/overlay.h"

#define ID "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11"
#define DOMAIN(disks) "<domain><devices>" disks "</devices></domain>"
#define DISK(inner, target) "<disk type='file'>" inner "<target dev='" target "'/></disk>"

static struct error err;
static struct volume_disk *disk;

static int set_up(void **state)
{
    (void)state;
    err = (struct error)ERROR_INIT;
    disk = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    volume_disk_free(disk);
    return 0;
}

static void parse(const char *xml)
{
    if (volume_disk_parse(xml, ID, &disk, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_refused(const char *xml, const char *volume_id, const char *text)
{
    set_up(NULL);
    assert_true(volume_disk_parse(xml, volume_id, &disk, &err) < 0);
    assert_null(disk);
    assert_string_equal(err.exc, EXC_INTERNAL_ERROR);
    if (!strstr(err.message, text))
        fail_msg("\"%s\" does not say \"%s\"", err.message, text);
}

static void chain_is_read_to_its_end(void **state)
{
    (void)state;
    parse(DOMAIN(DISK("<driver type='qcow2'/><source file='/i/disk'/>", "vda") DISK(
        "<driver type='qcow2'/><source file='/m/vol.b' index='9'/>"
        "<backingStore type='file' index='8'><format type='qcow2'/><source file='/m/vol.a'/>"
        "<backingStore type='file' index='7'><format type='raw'/><source file='/m/vol'/>"
        "<backingStore/></backingStore></backingStore><serial>" ID "</serial>",
        "vdb") DISK("", "hdc")));
    assert_string_equal(disk->target, "vdb");
    assert_int_equal(disk->layer_count, 3);
    assert_true(disk->chain_known);
    assert_string_equal(disk->layers[0].path, "/m/vol.b");
    assert_string_equal(disk->layers[0].format, "qcow2");
    assert_int_equal(disk->layers[0].index, 9);
    assert_string_equal(disk->layers[2].path, "/m/vol");
    assert_string_equal(disk->layers[2].format, "raw");
    assert_int_equal(disk->layers[2].index, 7);
    assert_int_equal(disk->other_count, 2);
    assert_string_equal(disk->other_targets[0], "vda");
    assert_string_equal(disk->other_targets[1], "hdc");
    volume_disk_drop_chain(disk);
    assert_int_equal(disk->layer_count, 1);
    assert_false(disk->chain_known);
}

/* libvirt leaves the end out where it has not looked. */
static void end_of_chain_may_be_unknown(void **state)
{
    (void)state;
    parse(DOMAIN(DISK("<source file='/m/vol.a'/><backingStore type='file'><format type='raw'/>"
                      "<source file='/m/vol'/></backingStore><serial>" ID "</serial>",
                      "vdb")));
    assert_int_equal(disk->layer_count, 2);
    assert_false(disk->chain_known);
    assert_int_equal(disk->layers[0].index, -1);
    assert_string_equal(disk->layers[0].format, "");
}

static void network_volume_has_no_path(void **state)
{
    (void)state;
    parse(DOMAIN("<disk type='network'><source protocol='rbd' name='p/v' file='/x'/>"
                 "<target dev='vdb'/><serial>" ID "</serial></disk>"));
    assert_string_equal(disk->layers[0].path, "");
}

static void hostile_definitions_are_refused(void **state)
{
    (void)state;
    static const char one[] = DOMAIN(DISK("<source file='/m/vol'/><serial>" ID "</serial>", "vdb"));
    assert_refused(one, "unknown", "Disk with id 'unknown' not found attached");
    assert_refused(DOMAIN(DISK("<source file='/m/vol'/>", "vdb")), "", "not found attached");
    assert_refused(DOMAIN(DISK("<serial/>", "vdb")), "", "not found attached");
    assert_refused(DOMAIN(DISK("<serial>" ID "0</serial>", "vdb")), ID, "not found attached");
    assert_refused(DOMAIN(DISK("<source file='/m/vol'/><serial>" ID "</serial>", "vdb")
                              DISK("<source file='/m/vol'/><serial>" ID "</serial>", "vdc")),
                   ID, "more than one disk is this volume");
    assert_refused(DOMAIN(DISK("<source file='m/vol'/><serial>" ID "</serial>", "vdb")), ID,
                   "not absolute");
    assert_refused(
        DOMAIN("<disk type='file'><source file='/m/vol'/><serial>" ID "</serial></disk>"), ID,
        "target is too long or missing");
    assert_refused("<!DOCTYPE d [<!ENTITY e SYSTEM '/etc/passwd'>]>" DOMAIN(""), ID,
                   "document type");
    assert_refused("<domain>", ID, "not well-formed");
    assert_refused("<domain/>", ID, "no <devices>");
}

static void endless_chain_is_refused(void **state)
{
    (void)state;
    char *xml = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&xml, &size);
    assert_non_null(out);
    fputs("<domain><devices><disk type='file'><source file='/m/vol'/><target dev='vdb'/>"
          "<serial>" ID "</serial>",
          out);
    for (int i = 0; i < VOLUME_LAYERS_MAX; i++)
        fputs("<backingStore type='file'><source file='/m/vol'/>", out);
    for (int i = 0; i < VOLUME_LAYERS_MAX; i++)
        fputs("</backingStore>", out);
    fputs("</disk></devices></domain>", out);
    fclose(out);
    assert_refused(xml, ID, "more than 200 layers");
    free(xml);
}

/* What libvirt will read in it is what was put in. */
static void snapshot_xml_is_escaped(void **state)
{
    (void)state;
    static const char path[] = "/m/a\"b'c<d>&amp;</source>]]>\xc3\xa4";
    cleanup_free char *xml = NULL;
    parse(DOMAIN(DISK("", "vda") DISK("<source file='/m/vol'/><serial>" ID "</serial>", "vdb")));
    assert_int_equal(volume_overlay_snapshot_xml(disk, path, &xml, &err), 0);
    xmlDoc *document = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, 0);
    assert_non_null(document);
    const xmlNode *disks = xml_node_child_named(xmlDocGetRootElement(document), "disks");
    xmlNode *first = xml_node_child_named(disks, "disk");
    assert_true(xml_node_attribute_is(first, "name", "vdb"));
    assert_true(xml_node_attribute_is(first, "snapshot", "external"));
    assert_true(xml_node_attribute_is(first, "type", "file"));
    assert_true(xml_node_attribute_is(xml_node_child_named(first, "driver"), "type", "qcow2"));
    assert_true(xml_node_attribute_is(xml_node_child_named(first, "source"), "file", path));
    xmlNode *second = xml_node_next_named(first->next, "disk");
    assert_true(xml_node_attribute_is(second, "name", "vda"));
    assert_true(xml_node_attribute_is(second, "snapshot", "no"));
    assert_null(xml_node_next_named(second->next, "disk"));
    xmlFreeDoc(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chain_is_read_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(end_of_chain_may_be_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(network_volume_has_no_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_definitions_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endless_chain_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(snapshot_xml_is_escaped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
