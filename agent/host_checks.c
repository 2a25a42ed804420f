/* SPDX-License-Identifier: Apache-2.0 */
/* See host_checks.h. */
#include "agent/host_checks.h"

#include <errno.h>

#include "agent/doctor_checks.h"
#include "agent/local_checks.h"
#include "agent/peer_checks.h"
#include "agent/service_checks.h"
#include "common/cleanup.h"
#include "common/log.h"

#define LOCAL (HOST_CHECKS_LOCAL | HOST_CHECKS_FIT | HOST_CHECKS_DOCTOR)
#define FIT (HOST_CHECKS_FIT | HOST_CHECKS_DOCTOR)
#define DOCTOR HOST_CHECKS_DOCTOR

static const struct {
    const char *name;
    unsigned kinds;
    host_check_look *look;
    const char *remedy;
} checks[] = {
    {"configuration", DOCTOR, doctor_checks_configuration,
     "mend the files, then systemctl reload nova-snapshot-agent; what is not read again then needs "
     "a restart"},
    {"agent", DOCTOR, peer_checks_agent,
     "systemctl status nova-snapshot-agent and its log tell why; nova-snapshot resume ends a "
     "drain"},
    {"[DEFAULT]instances_path", LOCAL, local_checks_instances,
     "it has to be nova-compute's, and the agent's user has to read it: see USER in "
     "nova-snapshot-agent(8)"},
    {"[libvirt]snapshots_directory", LOCAL, local_checks_snapshots,
     "the agent's user has to write there, also through the unit's ReadWritePaths"},
    {"[snapshot_agent]state_dir", LOCAL, local_checks_state,
     "it has to be the agent's own user's alone: look as that user, then chown and chmod 700"},
    {"[libvirt]images_type", LOCAL, local_checks_devices,
     "give the unit the devices: see DISKS ON LVM in nova-snapshot-agent(8)"},
    {"qemu-img", LOCAL, local_checks_qemu_img, "install qemu-utils (qemu-img), or mend PATH"},
    {"qemu-nbd", LOCAL, local_checks_qemu_nbd, "install qemu-utils (qemu-img), or mend PATH"},
    {"libvirt's socket", LOCAL, local_checks_libvirt,
     "start libvirtd or virtqemud; [libvirt]connection_uri names another"},
    {"libvirt", FIT, service_checks_libvirt,
     "virsh -c qemu:///system list, as the agent's user, says more; so does libvirtd's log"},
    {"room for snapshots", FIT, service_checks_snapshots_room,
     "make room, or set [libvirt]snapshots_directory to a larger file system"},
    {"room for records", FIT, service_checks_state_room,
     "make room where [snapshot_agent]state_dir is"},
    {"AppArmor", DOCTOR, doctor_checks_apparmor,
     "add 'owner <that path> rw,' to /etc/apparmor.d/local/abstractions/libvirt-qemu"},
    {"unreadable records", DOCTOR, doctor_checks_records,
     "look at their guests: each has its definition and what was done; then move the file away"},
    {"left-overs", DOCTOR, doctor_checks_left_overs,
     "records are taken up by the next start; nova-snapshot clean shows the rest"},
    {"RabbitMQ", DOCTOR, peer_checks_broker,
     "[DEFAULT]transport_url has to be nova-compute's, its user needs configure, write and read "
     "permissions; rabbitmqctl list_permissions shows them"},
    {"nova-compute", DOCTOR, peer_checks_nova_compute,
     "start it; its [DEFAULT]host has to be the agent's (openstack compute service list)"},
    {"Keystone", FIT, service_checks_keystone,
     "[service_user] needs auth_url, a user, its password and send_service_user_token = true"},
    {"Glance", FIT, service_checks_glance,
     "is it up, and are [glance]api_servers or endpoint_override, or its endpoint, right?"},
    {"Cinder", DOCTOR, service_checks_cinder,
     "is it up, and are [cinder]catalog_info, os_region_name or endpoint_template right? Snapshots "
     "of volumes need it"},
};

unsigned host_checks_run(struct host_view *view, enum host_checks_kind kind, host_checks_tell tell,
                         void *arg)
{
    unsigned n_bad = 0;
    bool goes_on = true;
    for (size_t i = 0; i < ARRAY_SIZE(checks) && goes_on; i++) {
        struct error err = ERROR_INIT;
        struct host_fact fact = {.is_warning = false};
        if (!(checks[i].kinds & kind))
            continue;
        int r = checks[i].look(view, kind == HOST_CHECKS_DOCTOR ? &fact : NULL, &err);
        n_bad += r < 0;
        view->is_bad |= r < 0;
        if (r < 0)
            log_debug("%s: %s", checks[i].name, err.message);
        const struct host_finding finding = {.name = checks[i].name,
                                             .remedy = checks[i].remedy,
                                             .is_local = checks[i].kinds == LOCAL,
                                             .trouble = r < 0 ? &err : NULL,
                                             .fact = &fact};
        goes_on = tell(arg, &finding) && r != -ECANCELED;
    }
    return n_bad;
}
