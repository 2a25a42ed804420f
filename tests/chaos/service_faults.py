# SPDX-License-Identifier: Apache-2.0
"""Services die, stand still and come back while a request is held."""

import os

import guest
from held import REACH_S, held, linger_on, pause, some_points
from lab import BrokerDown, DiskFull, Down, NotOurs, Still, wait_until
from methods import method

CALLS = {"live running": ("live:written-down", "live:undefined", "live:undefined",
                          "live:undefined", "live:copy-ended"),
         "quiesced": ("live:copy-ready", "live:frozen"),
         "stream running": ("stream:written-down", "stream:files-made", "stream:files-made",
                            "disk:image-complete", "disk:image-complete"),
         "stream quiesced": ("stream:files-made", "stream:frozen"),
         "cold running": ("cold:devices-detached", "cold:converted", "cold:image-written-down")}
SERVICES = ("libvirtd", "glance-api", "keystone", "nova-conductor")


def dies(service, back_before):
    """Back before the request goes on, or a moment after."""
    def happens(case):
        fault = BrokerDown(case.cloud) if service == "rabbitmq" else Down(service)
        case.begin(fault)
        if back_before:
            pause(case.random.uniform(0, 1))
            case.end_faults()
    return happens


def stands_still(service, seconds):
    def happens(case):
        case.begin(Still(service))
        pause(seconds)
    return happens


def fill(case):
    case.begin(DiskFull())


def dies_in_the_call(point):
    """A moment after the point, so that the answer of what follows may be lost."""
    def inject(case):
        case.failpoint.arm(point, "hold")
        case.attempt.start()
        if not case.failpoint.wait_reached(REACH_S, case.attempt.settled):
            return False
        fault = Down("libvirtd")
        case.restore.append(fault.end)
        case.failpoint.release()
        pause(case.random.uniform(0.01, 0.12))
        fault.begin()
        linger_on(case, 1)
        forgotten(case)
        return True
    return inject


def forgotten(case):
    """When libvirt has forgotten the guest it is no row."""
    name = case.before.facts["name"]
    size = os.path.getsize(guest.LIBVIRT_LOG)
    case.end_faults()
    wait_until(lambda: guest.facts(case.uuid), 5)
    if guest.is_forgotten(name, size):
        guest.bury(name)
        raise NotOurs("libvirtd cannot read its own status file and has forgotten the guest")


def each(session, method_name, services=SERVICES, count=1):
    chosen = method(method_name)
    for service in services:
        for point in some_points(session, chosen, count):
            before = session.random.random() < 0.5
            when = "and back" if before else "back later"
            session.row(chosen, f"{service} killed at {point}, {when}",
                        held(point, dies(service, before), 2.5), matrix="F4" if
                        service == "libvirtd" else "F9",
                        nova="image deleted, Error; cold: guest left saved")


def broker(session, method_name, count=1):
    chosen = method(method_name)
    for point in some_points(session, chosen, count):
        session.row(chosen, f"broker restarted at {point}",
                    held(point, dies("rabbitmq", session.random.random() < 0.5), 3), matrix="F9",
                    nova="request and replies lost, state kept")


def still(session, method_name, service, seconds, count=1):
    chosen = method(method_name)
    for point in some_points(session, chosen, count):
        session.row(chosen, f"{service} stands still {seconds} s at {point}",
                    held(point, stands_still(service, seconds), seconds), matrix="F9",
                    nova="waits; cold: guest left saved")


def disk_full(session, method_name, count=2):
    chosen = method(method_name)
    for point in some_points(session, chosen, count):
        session.row(chosen, f"file system full at {point}", held(point, fill, 20), matrix="F14",
                    nova="definition lost, guest frozen; image deleted, Error")


def run(session, short=False):
    if short:
        each(session, "live running", ("glance-api",))
        disk_full(session, "live running", 1)
        return
    for name in ("live running", "quiesced", "cold running", "stream running", "stream quiesced"):
        each(session, name)
        disk_full(session, name)
    for name, points in CALLS.items():
        for point in points:
            session.row(method(name), f"libvirtd killed in the call after {point}",
                        dies_in_the_call(point), matrix="F13", nova="TRANSIENT, maybe FROZEN")
    each(session, "backup", ("libvirtd", "nova-conductor"))
    each(session, "volume-backed cast", ("libvirtd", "nova-conductor", "keystone"))
    each(session, "volume snapshot", ("libvirtd",))
    each(session, "volume merge", ("libvirtd",))
    disk_full(session, "stopped", 1)
    for name in ("live running", "cold running", "volume-backed cast", "stream running"):
        broker(session, name)
        still(session, name, "nova-conductor", 4)
    still(session, "live running", "libvirtd", 4)
    still(session, "cold running", "libvirtd", 4)
    still(session, "quiesced", "glance-api", 4)
    still(session, "cold running", "nova-conductor", 14)
