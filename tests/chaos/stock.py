# SPDX-License-Identifier: Apache-2.0
"""The same faults with nova-compute alone, judged by the same checker: the comparison is measured."""

import json
import os
import signal

import guest
import http_proxy
import tenant_faults
from checker import Expect
from http_faults import FILE
from lab import (LAB, REPO, SNAPSHOTS, BrokerDown, DiskFull, Down, lab_service, signal_service,
                 wait_until)
from matrix_faults import definition_file, forget_domain
from methods import OPTIONS, Method, method

RESULTS = f"{REPO}/build/chaos-stock.json"
MIB = 1 << 20


class NoAgent:
    """In the agent's place: nova-compute with the same options, through the same proxies."""

    state_dir = "/nonexistent"
    log_file = f"{LAB}/log/nova-compute.log"
    deaths = 0

    def __init__(self, proxies, changes):
        self.conf = f"{LAB}/etc/nova/nova-compute.conf"
        self.ends = []
        with open(self.conf, encoding="utf-8") as conf:
            self.kept = conf.read()
        options = {"glance": {"api_servers": proxies["glance"].url},
                   "libvirt": {"snapshots_directory": SNAPSHOTS}, **changes}
        with open(self.conf, "a", encoding="utf-8") as conf:
            for group, values in options.items():
                conf.write(f"\n[{group}]\n")
                conf.writelines(f"{name} = {value}\n" for name, value in values.items())
        lab_service("restart", "nova-compute")

    def stop(self):
        with open(self.conf, "w", encoding="utf-8") as conf:
            conf.write(self.kept)
        lab_service("restart", "nova-compute")

    def remove(self):
        pass

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as lines:
            return lines.read()

    def log_since(self, offset):
        del offset
        return ""


class StockSession:
    """Mixed into a session: use_agent() gives nova-compute. What it does not mend soon it never does."""

    settle_s, grace_s = 30, 5

    def use_agent(self, options):
        if self.agent_options != options:
            self.stop_agent()
            self.agent, self.agent_options = NoAgent(self.proxies, OPTIONS[options]), options
        return self.agent

    def renew_agent(self):
        pass

    def stop_agent(self):
        if self.agent:
            self.agent.stop()
        self.agent = self.agent_options = None


# --- moments nova-compute cannot be held at, but shows
def in_copy(case):
    """The definition is away."""
    def transient():
        now = guest.virsh(case.uuid, lambda dom: dom.isPersistent())
        return not now or case.attempt.settled()
    return wait_until(transient, 30, 0.01)


def in_save(case):
    return wait_until(lambda: guest.virsh(case.uuid, lambda dom: dom.hasManagedSaveImage(0)) or
                      case.attempt.settled(), 30, 0.01)


def when(moment, happens, seconds=0.0):
    def inject(case):
        case.attempt.start()
        moment(case)
        if case.attempt.settled():
            return False
        happens(case)
        wait_until(case.attempt.settled, seconds, 0.1)
        return True
    return inject


def in_upload(happens, seconds=0.0):
    def inject(case):
        rule = case.proxies["glance"].on("PUT", FILE, http_proxy.stall_after(8 * MIB))
        case.attempt.start()
        rule.hit.wait(40)
        happens(case)
        wait_until(case.attempt.settled, seconds, 0.1)
        case.proxies["glance"].release()
        return True
    return inject


def answered(action):
    def inject(case):
        rule = case.proxies["glance"].on("PUT", FILE, action)
        case.attempt.start()
        wait_until(case.attempt.settled, 60)
        return rule.hits > 0
    return inject


def kill_compute(case):
    """Started again at once, as by a service manager."""
    signal_service("nova-compute", signal.SIGKILL)
    lab_service("start", "nova-compute")


def libvirtd_dies(case):
    case.begin(Down("libvirtd"))


def broker_restarts(case):
    case.begin(BrokerDown(case.cloud))
    case.end_faults()


def fill(case):
    case.begin(DiskFull())


def write_and_fill(case):
    fill(case)
    guest.qemu_io(case.uuid, "write -P 0x14 300M 32M")


def refuse_definition(case):
    path = definition_file(case)
    os.mkdir(path)
    case.restore.append(lambda: os.rmdir(path))


def forget_and_start(case):
    forget_domain(case)
    case.attempt.start()
    return True


ROWS = [
    ("F27", "live running", "nova-compute killed in the copy", when(in_copy, kill_compute), {}),
    ("F27", "live running", "nova-compute killed in the upload", in_upload(kill_compute, 5), {}),
    ("F27", "quiesced", "nova-compute killed in the copy", when(in_copy, kill_compute), {}),
    ("F27", "cold running", "nova-compute killed while saved", when(in_save, kill_compute), {}),
    ("F15", "live running", "guest destroyed in the copy", when(in_copy, tenant_faults.destroy),
     {"state": "shut off"}),
    ("F14", "live running", "no space for the copy", when(in_copy, write_and_fill, 20), {}),
    ("F16", "quiesced", "definition cannot be written", when(in_copy, refuse_definition, 5), {}),
    ("F4", "live running", "libvirtd killed in the copy", when(in_copy, libvirtd_dies, 2), {}),
    ("F9", "cold running", "task state reset while saved", when(
        in_save, tenant_faults.reset_state), {}),
    ("F5", "stopped", "no libvirt domain", forget_and_start, {}),
    ("F23", "live running", "PUT answered 500 once", answered(http_proxy.answer(500)), {}),
    ("F24", "live running", "PUT answered 503 once", answered(http_proxy.answer(503)), {}),
    ("F24", "live running", "PUT broken off after 8 MiB", answered(
        http_proxy.drop_after(8 * MIB)), {}),
    ("F22", "live running", "image deleted in the upload", in_upload(tenant_faults.delete_image),
     {"image_deleted": True}),
    ("F26", "live running", "task state reset in the upload", in_upload(
        tenant_faults.reset_state), {}),
    ("F9", "live running", "broker restarted in the upload", in_upload(broker_restarts), {}),
]


def run(session):
    for matrix, name, fault, inject, expect in ROWS:
        chosen: Method = method(name)
        session.row(chosen, fault, inject, matrix=matrix, expect=Expect(**expect))
    with open(RESULTS, "w", encoding="utf-8") as out:
        json.dump([[r.matrix, r.method, r.fault, f"{r.ours}: {r.verdict()}"]
                   for r in session.table.rows], out, indent=1)
