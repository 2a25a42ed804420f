# SPDX-License-Identifier: Apache-2.0
"""Many agents on one machine, each as if it were alone on a host, and the one Glance they look at."""

import glob
import http.server
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

from peers import REPO

BINARY = os.environ.get("AGENT", f"{REPO}/build/nova-snapshot-agent")
END_S = 120


class Glance(http.server.ThreadingHTTPServer):
    """Answers, and has lost all images; `looks` has when somebody looked whether it is there."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.looks = []
        self.deleted = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Asked(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if "/images/" not in self.path:
            self.server.looks.append(time.monotonic())
        self.send_error(404)

    def do_DELETE(self):
        self.server.deleted.append(self.path.rsplit("/", 1)[-1])
        self.send_error(404)

    do_HEAD = do_PATCH = do_PUT = do_GET

    def log_message(self, *_):
        pass


def children_of(pids):
    """The watchdogs: {pid of an agent: [pids]}."""
    found = {pid: [] for pid in pids}
    for name in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(name, encoding="ascii", errors="replace") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent in found:
            found[parent].append(int(name.split("/")[2]))
    return found


def memory_kib(pid):
    """Of a process: {"Rss": KiB, "Pss": KiB, "Private": KiB}."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        rows = dict(re.findall(r"^(\w+): +(\d+) kB$", rollup.read(), re.MULTILINE))
    return {"Rss": int(rows["Rss"]), "Pss": int(rows["Pss"]),
            "Private": int(rows["Private_Clean"]) + int(rows["Private_Dirty"])}


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Fleet:
    """One agent a host, with all defaults but for where things are."""

    def __init__(self, hosts, url, durable, glance):
        self.hosts = hosts
        self.url = url
        self.durable = durable
        self.glance = glance
        self.folder = tempfile.mkdtemp(prefix="nsa-scale-")
        self.processes = {}

    def start(self):
        for host in self.hosts:
            folder = f"{self.folder}/{host}"
            os.makedirs(f"{folder}/instances")
            with open(f"{folder}/nova.conf", "w", encoding="utf-8") as out:
                out.write(f"[DEFAULT]\nhost = {host}\nstate_path = {folder}\n"
                          f"transport_url = {self.url}\n"
                          "[oslo_messaging_rabbit]\n"
                          f"amqp_durable_queues = {str(self.durable).lower()}\n"
                          f"[glance]\nendpoint_override = {self.glance}\n"
                          "[libvirt]\nconnection_uri = test:///default\n"
                          f"[snapshot_agent]\nstate_dir = {folder}/state\n"
                          f"control_socket = {folder}/control\n")
            with open(f"{folder}/log", "wb") as log:
                self.processes[host] = subprocess.Popen(
                    [BINARY, "--config-file", f"{folder}/nova.conf"], stderr=log, stdout=log)

    def log(self, host):
        with open(f"{self.folder}/{host}/log", encoding="utf-8", errors="replace") as lines:
            return lines.read()

    def served(self):
        """The image of each request that has ended, as often as one has."""
        return [image for host in self.hosts
                for image in re.findall(r"Snapshot image (\S+) ", self.log(host))]

    def records(self):
        """Requests that are in a journal."""
        return glob.glob(f"{self.folder}/*/state/*.journal/*.request")

    def memory(self):
        """Of each agent with its watchdog, in KiB."""
        children = children_of([process.pid for process in self.processes.values()])
        return [{kind: sum(memory_kib(pid)[kind] for pid in (agent, *watchdogs))
                 for kind in ("Rss", "Pss", "Private")} for agent, watchdogs in children.items()]

    def cpu_s(self):
        return sum(cpu_s(process.pid) for process in self.processes.values())

    def fallen(self):
        return [host for host, process in self.processes.items() if process.poll() is not None]

    def end(self):
        """In order; {host: exit status} of those that did not end so."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        bad = {}
        for host, process in self.processes.items():
            try:
                status = process.wait(max(1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            if status:
                bad[host] = status
        return bad

    def kill(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
