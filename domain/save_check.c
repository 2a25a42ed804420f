/* SPDX-License-Identifier: Apache-2.0 */
/* See save_check.h. */
#include "domain/save_check.h"

#include <errno.h>

#include "driver/block/block_job.h"
#include "driver/definition/xml_node.h"
#include "driver/libvirt/domain.h"
#include "driver/libvirt/guest_freeze.h"

static int cannot_be_saved(struct error *err, const char *why)
{
    return error_set(err, EINVAL, EXC_INTERNAL_ERROR, "the guest cannot be saved: %s", why);
}

static bool has_host_interface(const xmlNode *devices)
{
    for (xmlNode *interface = xml_node_child_named(devices, "interface"); interface;
         interface = xml_node_next_named(interface->next, "interface"))
        if (xml_node_attribute_is(interface, "type", "hostdev") ||
            xml_node_attribute_is(interface, "type", "vdpa"))
            return true;
    return false;
}

static bool has_emulated_tpm(const xmlNode *devices)
{
    for (xmlNode *tpm = xml_node_child_named(devices, "tpm"); tpm;
         tpm = xml_node_next_named(tpm->next, "tpm"))
        if (xml_node_attribute_is(xml_node_child_named(tpm, "backend"), "type", "emulator"))
            return true;
    return false;
}

static int check_devices(const char *xml, struct error *err)
{
    cleanup_xml_document xmlDoc *document = NULL;
    xmlNode *devices = NULL;
    int r = xml_node_parse_domain(xml, &document, &devices, err);
    if (r < 0)
        return r;
    if (xml_node_child_named(devices, "hostdev") || has_host_interface(devices))
        return cannot_be_saved(err, "it has a device of the host, whose state is in no file; "
                                    "detach it first");
    if (has_emulated_tpm(devices))
        return cannot_be_saved(err, "its TPM's state is in a file of its own, which would not be "
                                    "that of the memory any more");
    return 0;
}

static int check_jobs(const struct session *session, const char *xml, struct error *err)
{
    virDomainJobInfo job = {0};
    struct domain_description *description = NULL;
    if (virDomainGetJobInfo(session->domain, &job) < 0)
        return libvirt_error(err, "cannot read whether the domain has a job");
    if (job.type != VIR_DOMAIN_JOB_NONE)
        return error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                         "the domain has a job already: `virsh domjobinfo` tells which");
    int r = domain_description_parse(xml, &description, err);
    for (size_t i = 0; r == 0 && i < description->disk_count; i++)
        if (description->disks[i].layers[0].path[0] != '\0')
            r = block_job_check_idle(session->domain, session->uuid, description->disks[i].target,
                                     err);
    domain_description_free(description);
    return r;
}

/* Whoever has frozen the guest could not thaw it while it is saved. */
static int check_thawed(const struct session *session, struct error *err)
{
    struct guest_freeze freeze = {.connection = session->driver->connection,
                                  .timeout_s = session->driver->freeze_timeout_s};
    return guest_freeze_check_thawed(&freeze, session->domain, err);
}

static int check_place(const struct session *session, bool managed, struct error *err)
{
    int persistent = virDomainIsPersistent(session->domain);
    int saved = persistent == 1 ? virDomainHasManagedSaveImage(session->domain, 0) : 0;
    if (persistent < 0 || saved < 0)
        return libvirt_error(err, "cannot read what libvirt keeps of the domain");
    if (managed && persistent == 0)
        return cannot_be_saved(err, "libvirt keeps the memory of a domain with a definition alone; "
                                    "save it to a file");
    return saved == 0 ? 0
                      : error_set(err, EBUSY, EXC_INTERNAL_ERROR,
                                  "libvirt keeps a saved memory of an earlier run, which is not "
                                  "overwritten: `virsh managedsave-remove` removes it");
}

int save_check(const struct session *session, const char *xml, bool managed, struct error *err)
{
    enum power_state state;
    int r = libvirt_domain_power_state(session->domain, &state, err);
    if (r < 0)
        return r;
    if (state != POWER_STATE_RUNNING && state != POWER_STATE_PAUSED)
        return error_set(err, ENOENT, EXC_INSTANCE_NOT_RUNNING,
                         "the domain does not run: it has no memory to be saved");
    r = check_devices(xml, err);
    if (r == 0)
        r = check_place(session, managed, err);
    if (r == 0)
        r = check_jobs(session, xml, err);
    return r == 0 && state == POWER_STATE_RUNNING ? check_thawed(session, err) : r;
}
