# SPDX-License-Identifier: Apache-2.0
"""The rows of nova's failure matrix that need a fault of their own."""

import os
import subprocess

import guest
import http_proxy
from checker import Expect
from held import held, pause, until_settled
from http_faults import IMAGE, ruled
from lab import (REPO, SNAPSHOTS, Down, Still, disk_file, disk_info, helper_processes, sql,
                 wait_until)
from lab import run as command
from methods import method
from service_faults import fill
from table import Row
from tenant_faults import delete_image, delete_server, reset_state

DEFINITIONS = "/etc/libvirt/qemu"


def definition_file(case):
    return f"{DEFINITIONS}/{case.before.facts['name']}.xml"


# --- before the guest is touched
def forget_action(case):
    """F1: the action's row is gone, so that its event cannot start."""
    sql("DELETE e FROM instance_actions_events e JOIN instance_actions a ON e.action_id = a.id "
        f"WHERE a.request_id = '{case.attempt.request_id}'")
    sql(f"DELETE FROM instance_actions WHERE request_id = '{case.attempt.request_id}'")
    case.attempt.event = None


def forget_domain(case):
    """F5: libvirt knows no such guest until the request is over."""
    xml = guest.virsh(case.uuid, lambda dom: dom.XMLDesc(guest.libvirt.VIR_DOMAIN_XML_INACTIVE |
                                                         guest.libvirt.VIR_DOMAIN_XML_SECURE))
    guest.virsh(case.uuid, lambda dom: dom.undefine())

    def define():
        until_settled(case)
        with guest.Domain(case.uuid) as domain:
            domain.connection.defineXML(xml)
    case.restore.append(define)


def libvirt_away(case):
    case.begin(Down("libvirtd"))


def forged_backing_file(case):
    """F10: the header of the disk names a file of the host."""
    disk = disk_file(case.uuid)
    backing = guest_backing(disk)
    rebase(disk, "/etc/shadow", "raw")
    case.restore.append(lambda: rebase(disk, *backing))
    case.attempt.start()
    until_settled(case)


def guest_backing(disk):
    info = disk_info(disk, "qcow2")
    return info["full-backing-filename"], info["backing-filename-format"]


def rebase(disk, backing, fmt):
    command("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", fmt, "-b", backing, disk)


def require_quiesce(case):
    """F11: the image's property, as nova keeps it with the instance."""
    sql("INSERT INTO instance_system_metadata (instance_uuid, `key`, value, deleted) VALUES "
        f"('{case.uuid}', 'image_os_require_quiesce', 'yes', 0)")
    case.restore.append(lambda: sql(
        "DELETE FROM instance_system_metadata WHERE `key` = 'image_os_require_quiesce' AND "
        f"instance_uuid = '{case.uuid}'"))
    case.attempt.start()
    until_settled(case)


def early(session):
    live, stopped = method("live running"), method("stopped")
    acked = "request:acked"
    session.row(live, "no action for the event", held(acked, forget_action), matrix="F1",
                nova="image stays queued")
    session.row(live, "server deleted before the first save", held(acked, delete_server),
                matrix="F2", nova="image stays queued, Success", expect=Expect(gone=True))
    session.row(live, "task state reset before the first save", held(acked, reset_state),
                matrix="F3", nova="image deleted, Error")
    session.row(live, "libvirtd killed before get_info", held("snapshot:state-saved", libvirt_away,
                                                              1.5), matrix="F4", nova="Error")
    session.row(stopped, "no libvirt domain", held(acked, forget_domain, 30), matrix="F5",
                nova="task state STUCK, Success")
    session.row(live, "image deleted before GET", held(acked, delete_image), matrix="F6",
                nova="no image, Success", expect=Expect(image_deleted=True))
    session.row(stopped, "forged backing file", forged_backing_file, matrix="F10", nova="Error")
    session.row(live, "os_require_quiesce without an agent", require_quiesce, matrix="F11",
                nova="Error")


# --- state saves
def state_saves(session):
    live, cold = method("live running"), method("cold running")
    session.row(cold, "server deleted while saved", held("cold:saved", delete_server),
                matrix="F8", nova="guest left saved, Success", expect=Expect(gone=True))
    session.row(cold, "task state reset while saved", held("cold:saved", reset_state),
                matrix="F9", nova="guest LEFT SAVED")
    session.row(cold, "conductor silent while saved", held(
        "cold:saved", lambda case: case.begin(Still("nova-conductor")), 14), matrix="F9",
        nova="guest LEFT SAVED")
    session.row(live, "conductor silent in the upload", held(
        "disk:uploading", lambda case: case.begin(Still("nova-conductor")), 14), matrix="F9",
        nova="complete image deleted")
    session.row(live, "task state reset in the upload", ruled(
        "glance", "PUT", "/file$", http_proxy.stall_after(8 << 20), hold_s=0.5, then=reset_state),
        matrix="F26", nova="complete image DELETED")
    session.row(live, "image deleted before PATCH", ruled(
        "glance", "PATCH", IMAGE, http_proxy.stall, hold_s=0.5, then=delete_image), matrix="F22",
        nova="no image, Success", expect=Expect(image_deleted=True))


# --- the live copy
def definition_stays(case):
    """F12: libvirt cannot remove the definition's file."""
    path = definition_file(case)
    command("mount", "--bind", path, path)
    case.restore.append(lambda: command("umount", path))


def overlay_unreachable(case):
    """F13: QEMU may not open the overlay."""
    folder = os.path.dirname(SNAPSHOTS)
    os.chmod(folder, 0o700)
    case.restore.append(lambda: os.chmod(folder, 0o711))


def copy_runs_full(case):
    """F14: what the guest writes meanwhile does not fit any more. Its disk is looked at as a file."""
    fill(case)
    guest.qemu_io(case.uuid, "write -P 0x14 300M 32M")
    guest.qemu_io(case.uuid, "flush")


def definition_refused(case):
    """F16: libvirt cannot write the definition's file."""
    path = definition_file(case)
    os.mkdir(path)
    case.restore.append(lambda: os.rmdir(path))


def suspend_guest(case):
    """F17: a guest that stands still cannot thaw."""
    guest.virsh(case.uuid, lambda dom: dom.suspend())
    case.restore.append(lambda: guest.virsh(case.uuid, lambda dom: dom.resume()))


def helper_killed(case):
    """F18: qemu-img or qemu-nbd dies."""
    case.attempt.start()
    found = wait_until(helper_processes, 20, 0.005)
    for pid, _ in found:
        os.kill(pid, 9)
    until_settled(case)
    return bool(found)


def live(session):
    running, quiesced = method("live running"), method("quiesced")
    for chosen in (running, quiesced):
        session.row(chosen, "definition cannot be taken away", held(
            "live:overlay-made", definition_stays, 3), matrix="F12", nova="maybe FROZEN, Error")
        session.row(chosen, "overlay cannot be opened", held(
            "live:undefined", overlay_unreachable, 3), matrix="F13",
            nova="TRANSIENT, maybe FROZEN, Error")
        session.row(chosen, "no space for the copy", held("live:copy-started", copy_runs_full, 15),
                    matrix="F14", nova="TRANSIENT, maybe FROZEN, Error")
        session.row(chosen, "definition cannot be written", held(
            "live:copy-ready", definition_refused, 2.5), matrix="F16",
            nova="TRANSIENT, FROZEN, Error")
        session.row(chosen, "qemu-nbd killed", helper_killed, matrix="F18",
                    nova="image deleted, Error")
    converted = method("compressed running")
    session.row(converted, "no space for the image", held("live:defined", fill, 15), matrix="F18",
                nova="image deleted, Error")
    session.row(converted, "qemu-img killed", helper_killed, matrix="F18",
                nova="image deleted, Error")
    session.row(quiesced, "guest stands still while frozen", held(
        "live:copy-ended", suspend_guest, 4), matrix="F17", nova="maybe FROZEN, Error")


# --- the stream
def stream(session):
    for name in ("stream running", "stream quiesced"):
        chosen = method(name)
        session.row(chosen, "scratch and copy cannot be opened", held(
            "stream:files-made", overlay_unreachable, 3), matrix="F13",
            nova="TRANSIENT, maybe FROZEN, Error")
        session.row(chosen, "no space for what the guest overwrites", held(
            "stream:mapped", copy_runs_full, 15), matrix="F14",
            nova="TRANSIENT, maybe FROZEN, Error")
    session.row(method("stream quiesced"), "guest stands still while frozen", held(
        "stream:begun", suspend_guest, 4), matrix="F17", nova="maybe FROZEN, Error")
    session.row(method("stream running"), "server deleted while streamed", held(
        "upload:half-sent", delete_server), matrix="F8", nova="orphan image",
        expect=Expect(gone=True))
    session.row(method("stream running"), "image deleted while streamed", held(
        "upload:half-sent", delete_image), matrix="F22", nova="no image, Success",
        expect=Expect(image_deleted=True))
    session.row(method("stream stopped"), "image deleted while streamed", held(
        "upload:half-sent", delete_image), matrix="F22", nova="no image, Success",
        expect=Expect(image_deleted=True))


# --- the cold copy
def save_refused(case):
    """F19: a folder stands where the memory is to be saved."""
    path = f"/var/lib/libvirt/qemu/save/{case.before.facts['name']}.save"
    os.mkdir(path)
    case.restore.append(lambda: os.rmdir(path) if os.path.isdir(path) else None)


def disk_occupied(case):
    """F20: another process writes to the disk, so that QEMU may not."""
    other = subprocess.Popen(["qemu-io", "-f", "qcow2", disk_file(case.uuid)],
                             stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    pause(0.5)

    def end():
        other.stdin.close()
        other.wait(10)
    case.restore.append(end)


def cold(session):
    for name in ("cold running", "cold paused"):
        chosen = method(name)
        session.row(chosen, "memory cannot be saved", held("snapshot:state-saved", save_refused, 5),
                    matrix="F19", nova="Error")
        session.row(chosen, "disk occupied at the start", held("cold:converted", disk_occupied, 4),
                    matrix="F20", nova="guest DOWN with its saved image")
        session.row(chosen, "no space for the image", held("cold:staging-made", fill, 15),
                    matrix="F18", nova="image deleted, Error")
    session.row(method("cold running"), "qemu-img killed", helper_killed, matrix="F18",
                nova="image deleted, Error")


def unit(session, program, matrix, what, nova):
    """Hardware the lab does not have: a scripted test of the tree, run here."""
    path = f"build/tests/unit/{program}"
    subprocess.run(["make", "-s", path], cwd=REPO, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([f"{REPO}/{path}"], capture_output=True, text=True, check=False)
    session.table.add(Row(matrix=matrix, method="cold running", fault=what, nova=nova,
                          ours=f"unit:{program.rsplit('/', 1)[-1]}", violations=[]
                          if done.returncode == 0 else [("lost", f"it ended with {done.returncode}")]))


def run(session, short=False):
    if short:
        session.row(method("stopped"), "forged backing file", forged_backing_file, matrix="F10",
                    nova="Error")
        return
    early(session)
    state_saves(session)
    live(session)
    stream(session)
    cold(session)
    unit(session, "driver/snapshot/test_cold", "F21", "host device cannot be attached again",
         "running without its device")
