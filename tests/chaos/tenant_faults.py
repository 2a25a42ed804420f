# SPDX-License-Identifier: Apache-2.0
"""What a tenant, an administrator or the guest itself does while a request is held."""

import os
import signal

import guest
from checker import Expect
from held import held, pause, some_points
from lab import wait_until
from methods import method


def delete_server(case):
    case.cloud.nova("DELETE", f"/servers/{case.uuid}")
    wait_until(lambda: guest.facts(case.uuid) is None, 15)


def delete_image(case):
    case.cloud.glance("DELETE", f"/v2/images/{case.attempt.image}")


def reset_state(case):
    case.cloud.action(case.uuid, "os-resetState", {"state": "active"})


def destroy(case):
    """The guest ends at once, as by virsh destroy."""
    guest.virsh(case.uuid, lambda dom: dom.destroy() if dom.isActive() else None)


def kill_qemu(case):
    """The guest's QEMU dies, as of the out-of-memory killer."""
    path = f"/run/libvirt/qemu/{case.before.facts['name']}.pid"
    if os.path.exists(path):
        with open(path, encoding="ascii") as pid:
            os.kill(int(pid.read()), signal.SIGKILL)
        wait_until(lambda: guest.state(case.uuid) != "running", 5)


def power_off_inside(case):
    """The guest's own system goes down."""
    try:
        guest.ask_agent(case.uuid, "guest-exec", {"path": "/bin/busybox",
                                                  "arg": ["poweroff", "-f"]})
    except guest.libvirt.libvirtError:
        return  # a frozen guest does not obey
    wait_until(lambda: guest.state(case.uuid) != "running", 8)


def start_guest(case):
    """An administrator starts a guest that is saved for the time of the copy."""
    guest.virsh(case.uuid, lambda dom: None if dom.isActive() else dom.create())


def at_points(session, names, what, happens, matrix, nova, count=1, **expect):
    for name in names:
        chosen = method(name)
        for point in some_points(session, chosen, count):
            session.row(chosen, f"{what} at {point}", held(point, happens), matrix=matrix,
                        nova=nova, expect=Expect(**expect))


def power_off(session, name, what, happens, point):
    """It may have been off already, or not obey: the guest's state then is what it is."""
    expect = Expect()

    def off(case):
        pause(0.1)
        happens(case)
        if guest.state(case.uuid) != case.before.facts["state"]:
            expect.state = "shut off"
    session.row(method(name), f"{what} at {point}", held(point, off), matrix="F15", expect=expect,
                nova="domain lost, task state stuck")


def run(session, short=False):
    if short:
        at_points(session, ["live running"], "image deleted", delete_image, "F22",
                  "no image, Success", image_deleted=True)
        power_off(session, "live running", "guest destroyed", destroy, "live:copy-started")
        return
    at_points(session, ["live running", "cold running", "quiesced", "stopped", "backup"],
              "image deleted", delete_image, "F22", "no image, Success", image_deleted=True)
    at_points(session, ["live running", "cold running", "quiesced", "backup"],
              "task state reset", reset_state, "F26", "complete image deleted", 2)
    at_points(session, ["live running", "cold running", "stopped", "quiesced"],
              "server deleted", delete_server, "F8", "orphan image", gone=True)
    for point in ("live:undefined", "live:copy-started", "live:copy-ready", "live:copy-ended",
                  "live:defined", "disk:uploading"):
        what, happens = session.random.choice([("guest destroyed", destroy),
                                               ("QEMU killed", kill_qemu)])
        power_off(session, "live running", what, happens, point)
    for point in ("stream:files-made", "stream:begun", "stream:mapped", "upload:half-sent",
                  "disk:image-complete"):
        what, happens = session.random.choice([("guest destroyed", destroy),
                                               ("QEMU killed", kill_qemu)])
        power_off(session, "stream running", what, happens, point)
    for point in ("stream:frozen", "stream:mapped", "disk:uploading", "upload:half-sent",
                  "disk:image-complete"):
        power_off(session, "stream quiesced", "guest powers off", power_off_inside, point)
    for point in ("live:copy-started", "live:frozen", "live:overlay-written-down"):
        power_off(session, "quiesced", "guest powers off", power_off_inside, point)
    power_off(session, "volume-backed cast", "guest powers off", power_off_inside,
              "volumes:frozen")
    at_points(session, ["cold running"], "guest started by hand", start_guest, "F20",
              "start fails, Error", 2)
