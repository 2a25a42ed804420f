/* SPDX-License-Identifier: Apache-2.0 */
/* agent/dispatch.c: what is served and what is left to nova-compute. */
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/dispatch.h"
#include "agent/instance_queue.h"
#include "agent/workers.h"
#include "conf/conf.h"
#include "fixture.h"
#include "state_dir.h"

static char kvm[] = "kvm", standard[] = "default", shared[] = "shared", exclusive[] = "exclusive";
static struct conf conf;
static struct agent agent;
static struct rpc_request *request;

static int setup(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    conf = (struct conf){.libvirt = {.virt_type = kvm, .images_type = standard},
                         .snapshot_agent = {.attach = shared}};
    state_dir_make();
    agent = (struct agent){.conf = &conf, .journal = state_dir.journal};
    request = fixture_request();
    return workers_new(4, &agent.workers, &err);
}

static int teardown(void **state)
{
    (void)state;
    workers_free(agent.workers);
    rpc_request_free(request);
    assert_int_equal(state_dir_remove(), 0);
    return 0;
}

static enum rpc_verdict verdict(void)
{
    enum rpc_verdict verdict = dispatch_ops.accept(&agent, request);
    if (verdict == RPC_SERVE)
        dispatch_ops.withdraw(&agent, NULL);
    return verdict;
}

static void replace(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
}

static void serves_the_recorded_request(void **state)
{
    (void)state;
    assert_int_equal(verdict(), RPC_SERVE);
}

static void serves_the_versions_of_nova(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        enum rpc_verdict verdict;
    } rows[] = {{"5.0", RPC_SERVE},      {"5.13", RPC_SERVE},   {"6.5", RPC_SERVE},
                {"5.14", RPC_PUT_BACK},  {"6.6", RPC_PUT_BACK}, {"4.0", RPC_PUT_BACK},
                {"7.0", RPC_PUT_BACK},   {"6", RPC_PUT_BACK},   {"", RPC_PUT_BACK},
                {"6.0.1", RPC_PUT_BACK}, {"6.x", RPC_PUT_BACK}, {"999999.0", RPC_PUT_BACK}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        replace(&request->version, rows[i].version);
        assert_int_equal(verdict(), rows[i].verdict);
    }
    free(request->version);
    request->version = NULL;
    assert_int_equal(verdict(), RPC_PUT_BACK);
}

static void leaves_other_methods_and_namespaces(void **state)
{
    (void)state;
    static const char *const methods[] = {"reboot_instance", "get_console_output",
                                          "shelve_instance", "snapshot_instanc", ""};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        replace(&request->method, methods[i]);
        assert_int_equal(verdict(), RPC_PUT_BACK);
    }
    replace(&request->method, "snapshot_instance");
    request->namespace = strdup("baseapi");
    assert_int_equal(verdict(), RPC_PUT_BACK);
}

static void leaves_malformed_requests(void **state)
{
    (void)state;
    json_object_del(request->args, "image_id");
    assert_int_equal(verdict(), RPC_PUT_BACK);
    json_object_set_new(request->args, "image_id", json_string(FIXTURE_IMAGE));
    assert_int_equal(verdict(), RPC_SERVE);
    json_object_set_new(json_object_get(request->args, "instance"), "nova_object.version",
                        json_string("3.0"));
    assert_int_equal(verdict(), RPC_PUT_BACK);
}

static void leaves_backends_it_does_not_read(void **state)
{
    (void)state;
    static char ploop[] = "ploop", rbd[] = "rbd", lxc[] = "lxc";
    conf.libvirt.images_type = rbd;
    assert_int_equal(verdict(), RPC_SERVE);
    conf.libvirt.images_type = ploop;
    assert_int_equal(verdict(), RPC_PUT_BACK);
    conf.libvirt.images_type = standard;
    conf.libvirt.virt_type = lxc;
    assert_int_equal(verdict(), RPC_PUT_BACK);
}

static void serves_servers_booted_from_volume(void **state)
{
    (void)state;
    json_t *data = json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
    json_object_set_new(data, "image_ref", json_string(""));
    assert_int_equal(verdict(), RPC_SERVE);
}

static void serves_backups_whose_rotation_it_can_read(void **state)
{
    (void)state;
    replace(&request->method, "backup_instance");
    assert_int_equal(verdict(), RPC_PUT_BACK);
    json_object_set_new(request->args, "backup_type", json_string("daily"));
    json_object_set_new(request->args, "rotation", json_integer(2));
    assert_int_equal(verdict(), RPC_SERVE);
}

static void serves_quiesce_of_an_instance(void **state)
{
    (void)state;
    static const char *const methods[] = {"quiesce_instance", "unquiesce_instance"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        replace(&request->method, methods[i]);
        assert_int_equal(verdict(), RPC_SERVE);
    }
    json_object_set_new(request->args, "instance", json_integer(7));
    assert_int_equal(verdict(), RPC_PUT_BACK);
}

static void serves_volume_snapshots_it_can_name(void **state)
{
    (void)state;
    replace(&request->method, "volume_snapshot_delete");
    assert_int_equal(verdict(), RPC_PUT_BACK);
    json_object_set_new(request->args, "volume_id", json_string(FIXTURE_IMAGE));
    json_object_set_new(request->args, "snapshot_id", json_string(FIXTURE_INSTANCE));
    assert_int_equal(verdict(), RPC_SERVE);
    replace(&request->method, "volume_snapshot_create");
    assert_int_equal(verdict(), RPC_PUT_BACK);
    json_object_set_new(request->args, "create_info",
                        json_pack("{s:s}", "snapshot_id", FIXTURE_INSTANCE));
    assert_int_equal(verdict(), RPC_SERVE);
}

static json_t *instance_data(void)
{
    return json_object_get(json_object_get(request->args, "instance"), "nova_object.data");
}

static json_t *extra_specs(void)
{
    json_t *flavor = json_object_get(instance_data(), "flavor");
    return json_object_get(json_object_get(flavor, "nova_object.data"), "extra_specs");
}

static json_t *system_metadata(void)
{
    return json_object_get(instance_data(), "system_metadata");
}

static void leaves_encrypted_disks(void **state)
{
    (void)state;
    const struct {
        json_t *where;
        const char *name, *value;
        enum rpc_verdict verdict;
    } rows[] = {
        {extra_specs(), "hw:ephemeral_encryption", "True", RPC_PUT_BACK},
        {extra_specs(), "hw:ephemeral_encryption", "false", RPC_SERVE},
        {extra_specs(), "hw:ephemeral_encryption_format", "luks", RPC_SERVE},
        {system_metadata(), "image_hw_ephemeral_encryption", "yes", RPC_PUT_BACK},
        {system_metadata(), "image_hw_ephemeral_encryption", "0", RPC_SERVE},
        {system_metadata(), "image_hw_ephemeral_encryption_secret_uuid", "x", RPC_PUT_BACK},
        {system_metadata(), "image_disk_format", "luks", RPC_PUT_BACK},
        {system_metadata(), "image_disk_format", "qcow2", RPC_SERVE},
        {instance_data(), "ephemeral_key_uuid", "0a2fc1f5-6f8c-4b6f-a81d-6d4a1c6d9a11",
         RPC_PUT_BACK},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *before = json_incref(json_object_get(rows[i].where, rows[i].name));
        json_object_set_new(rows[i].where, rows[i].name, json_string(rows[i].value));
        if (verdict() != rows[i].verdict)
            fail_msg("%s=%s", rows[i].name, rows[i].value);
        if (before)
            json_object_set_new(rows[i].where, rows[i].name, before);
        else
            json_object_del(rows[i].where, rows[i].name);
    }
    assert_int_equal(verdict(), RPC_SERVE);

    /* Not every server of such a host is encrypted: its key tells. */
    conf.ephemeral_storage_encryption.enabled = true;
    assert_int_equal(verdict(), RPC_SERVE);
    json_object_del(instance_data(), "ephemeral_key_uuid");
    assert_int_equal(verdict(), RPC_PUT_BACK);
    conf.snapshot_agent.attach = exclusive; /* nobody to leave it to: it fails */
    assert_int_equal(verdict(), RPC_SERVE);
    conf.snapshot_agent.attach = shared;
    /* Cinder's snapshots are as encrypted as its volumes. */
    json_object_set_new(instance_data(), "image_ref", json_string(""));
    assert_int_equal(verdict(), RPC_SERVE);
}

/* Of the bus thread, on which a request is served whose worker cannot be started. */
static unsigned n_synced;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    n_synced++;
    return __real_fdatasync(fd);
}

static void the_bus_does_not_wait_for_the_disk(void **state)
{
    (void)state;
    struct error err = ERROR_INIT;
    void *claim = NULL;
    workers_free(agent.workers);
    assert_int_equal(workers_new(0, &agent.workers, &err), 0);
    assert_int_equal(instance_queue_new(&agent.instance_queue, &err), 0);
    assert_true(dispatch_ops.write_down(&agent, request, &claim));
    n_synced = 0;
    dispatch_ops.serve(&agent, request, claim);
    request = NULL;
    assert_int_equal(n_synced, 0);
    assert_int_equal(state_dir_clear("journal"), 1);
    state_dir_make_folder("journal");
    instance_queue_free(agent.instance_queue);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(serves_the_recorded_request),         TEST(serves_the_versions_of_nova),
        TEST(leaves_other_methods_and_namespaces), TEST(leaves_malformed_requests),
        TEST(leaves_backends_it_does_not_read),    TEST(leaves_encrypted_disks),
        TEST(serves_servers_booted_from_volume),   TEST(serves_backups_whose_rotation_it_can_read),
        TEST(serves_quiesce_of_an_instance),       TEST(serves_volume_snapshots_it_can_name),
        TEST(the_bus_does_not_wait_for_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
