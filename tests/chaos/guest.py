# SPDX-License-Identifier: Apache-2.0
"""A guest as libvirt, QEMU and its own guest agent show it."""

import json
import os
import signal
import time
from xml.etree import ElementTree

import libvirt
import libvirt_qemu

from lab import LAB

libvirt.registerErrorHandler(lambda _context, _error: None, None)

LIBVIRT_LOG = f"{LAB}/log/libvirtd.log"
STATES = {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_BLOCKED: "running",
          libvirt.VIR_DOMAIN_PAUSED: "paused", libvirt.VIR_DOMAIN_SHUTDOWN: "in shutdown",
          libvirt.VIR_DOMAIN_SHUTOFF: "shut off", libvirt.VIR_DOMAIN_CRASHED: "crashed"}


def connect(tries=100):
    """A libvirtd that has just been killed is back within seconds."""
    for _ in range(tries):
        try:
            return libvirt.open("qemu:///system")
        except libvirt.libvirtError:
            time.sleep(0.1)
    return libvirt.open("qemu:///system")


class Domain:
    """with Domain(uuid) as domain: ... ; domain.dom is None when there is none."""

    def __init__(self, uuid):
        self.uuid = uuid

    def __enter__(self):
        self.connection = connect()
        try:
            self.dom = self.connection.lookupByUUIDString(self.uuid)
        except libvirt.libvirtError:
            self.dom = None
        return self

    def __exit__(self, *_):
        self.dom = None
        self.connection.close()


def definition(dom):
    """The inactive XML; the files of volumes and their formats change with every layer."""
    root = ElementTree.fromstring(
        dom.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
    for disk in root.findall("devices/disk"):
        source = disk.find("source")
        if source is not None and source.get("file", "").startswith(f"{LAB}/nova/mnt"):
            for part in disk.findall("source") + disk.findall("backingStore"):
                disk.remove(part)
            disk.find("driver").attrib.pop("type", None)
    for element in root.iter():
        element.text = (element.text or "").strip()
        element.tail = None
    return ElementTree.tostring(root, encoding="unicode").replace("><", ">\n<")


def disks(dom):
    """{target: source file} of the running guest, or of its definition."""
    root = ElementTree.fromstring(dom.XMLDesc(0))
    return {d.find("target").get("dev"): d.find("source").get("file")
            for d in root.findall("devices/disk") if d.find("source") is not None}


def copies(dom):
    """Block jobs and mirrors of all disks."""
    root = ElementTree.fromstring(dom.XMLDesc(0))
    found = [f"mirror on {d.find('target').get('dev')}" for d in root.findall("devices/disk")
             if d.find("mirror") is not None]
    if dom.isActive():
        for target in disks(dom):
            if dom.blockJobInfo(target, 0):
                found.append(f"block job on {target}")
        jobs = monitor(dom, {"execute": "query-block-jobs"})
        found += [f"QEMU's job {job['device']}" for job in jobs]
        shown = monitor(dom, {"execute": "query-block-exports"})
        found += [f"QEMU's export {export['id']}" for export in shown]
        if dom.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
            found.append("a job of the domain")
    return found


def state(uuid):
    """As libvirt tells it, whatever the guest's QEMU is doing; None when it knows no such guest."""
    with Domain(uuid) as domain:
        try:
            return STATES[domain.dom.state()[0]] if domain.dom else None
        except libvirt.libvirtError:  # one that is not defined goes when it ends
            return None


def facts(uuid, patience=40):
    """
    All there is to know of a guest; None when libvirt does not know it. One that ends while it is
    looked at is looked at again. When the guest agent's channel is closed under a backup job libvirt
    9.0 takes 30 s for that: its one worker for events waits for a job that such a job does not let in.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            return look(uuid)
        except libvirt.libvirtError:
            time.sleep(0.1)
    return look(uuid)


def look(uuid):
    with Domain(uuid) as domain:
        dom = domain.dom
        if not dom:
            return None
        return {
            "name": dom.name(),
            "state": STATES[dom.state()[0]],
            "persistent": bool(dom.isPersistent()),
            "autostart": bool(dom.autostart()) if dom.isPersistent() else None,
            "managed save": bool(dom.hasManagedSaveImage(0)),
            "definition": definition(dom) if dom.isPersistent() else None,
            "disks": disks(dom),
            "copies": copies(dom),
        }


def monitor(dom, command):
    answer = json.loads(libvirt_qemu.qemuMonitorCommand(dom, json.dumps(command), 0))
    return answer["return"]


def virsh(uuid, call):
    """call(domain) on a guest that has to be there."""
    with Domain(uuid) as domain:
        assert domain.dom, f"no domain {uuid}"
        return call(domain.dom)


def qemu_io(uuid, command, disk="virtio-disk0"):
    """What QEMU itself reads or writes through the guest's disk."""
    line = f'qemu-io -d /machine/peripheral/{disk}/virtio-backend "{command}"'
    return virsh(uuid, lambda dom: libvirt_qemu.qemuMonitorCommand(
        dom, line, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP))


def is_alive(uuid):
    """
    QEMU serves the guest's disk: what is written is read again, at a place nothing else uses. A
    paused guest is only asked: QEMU aborts at a write to one that was restored and never ran.
    """
    if STATES.get(virsh(uuid, lambda dom: dom.state()[0])) == "paused":
        return bool(virsh(uuid, lambda dom: monitor(dom, {"execute": "query-block"})))
    stamp = int(time.monotonic() * 10) % 255 + 1
    told = qemu_io(uuid, f"write -P {stamp} 1020M 64k") + qemu_io(uuid, f"read -P {stamp} 1020M 64k")
    return "failed" not in told.lower() and "error" not in told.lower()


def ask_agent(uuid, command, arguments=None, timeout=5):
    request = {"execute": command}
    if arguments:
        request["arguments"] = arguments
    answer = virsh(uuid, lambda dom: libvirt_qemu.qemuAgentCommand(dom, json.dumps(request),
                                                                   timeout, 0))
    return json.loads(answer)["return"]


def is_frozen(uuid):
    """What the guest's own agent says; None when it does not answer."""
    try:
        return ask_agent(uuid, "guest-fsfreeze-status") != "thawed"
    except libvirt.libvirtError:
        return None


def writes(uuid, target="vda"):
    return virsh(uuid, lambda dom: dom.blockStats(target)[2])


def keeps_writing(uuid, timeout=8):
    """The guest's own system writes its counter."""
    before = writes(uuid)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if writes(uuid) > before:
            return True
        time.sleep(0.1)
    return False


def is_forgotten(name, since=0):
    """
    While libvirt 9.0 ends a copy, its status file names a job of type '', which it cannot read any
    more (qemuBlockJobEventProcess): killed then, it forgets the guest, whoever asked for the copy.
    """
    with open(LIBVIRT_LOG, "rb") as lines:
        lines.seek(since)
        told = lines.read().decode(errors="replace")
    return "unknown mirror job type ''" in told and f"config for domain '{name}'" in told


def bury(name):
    """The QEMU of a guest that libvirt has forgotten."""
    with open(f"/run/libvirt/qemu/{name}.pid", encoding="ascii") as pid:
        os.kill(int(pid.read()), signal.SIGKILL)
    os.unlink(f"/run/libvirt/qemu/{name}.xml")
