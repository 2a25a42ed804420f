# SPDX-License-Identifier: Apache-2.0
"""Many agents on one machine, each as if it were alone on a host, and the one Glance they look at."""

import glob
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from peers import REPO

BINARY = os.environ.get("AGENT", f"{REPO}/build/nova-snapshot-agent")
END_S = 120


class Glance(http.server.ThreadingHTTPServer):
    """All images are there, queued; `looks` has when somebody looked whether Glance is."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Asked)
        self.looks = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """An agent that has waited for as long as it does is gone when the answer comes."""


class Asked(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # agents keep their connections

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if "/images/" in self.path:
            image = {"id": self.path.rsplit("/", 1)[-1], "status": "queued"}
            self.answer(200, json.dumps(image).encode())
        else:
            self.server.looks.append(time.monotonic())
            self.answer(300)

    def do_DELETE(self):
        self.answer(204)

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


def cpu_ms(pid):
    """What all its threads have used so far."""
    used_ns = 0
    for name in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(name, encoding="ascii") as stat:
            used_ns += int(stat.read().split()[0])
    return used_ns / 1e6


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

    def records(self):
        """Requests that are in a journal."""
        return glob.glob(f"{self.folder}/*/state/*.journal/*.request")

    def pids(self):
        return {process.pid for process in self.processes.values()}

    def memory(self):
        """Of each agent with its watchdog, in KiB."""
        children = children_of(self.pids())
        return [{kind: sum(memory_kib(pid)[kind] for pid in (agent, *watchdogs))
                 for kind in ("Rss", "Pss", "Private")} for agent, watchdogs in children.items()]

    def cpu_ms(self):
        return sum(cpu_ms(pid) for pid in self.pids())

    def fallen(self):
        """Each with what it has said last."""
        return [f"{host}: {self.last_line(host)}" for host, process in self.processes.items()
                if process.poll() is not None]

    def last_line(self, host):
        with open(f"{self.folder}/{host}/log", encoding="utf-8", errors="replace") as log:
            return (log.read().splitlines() or [""])[-1]

    def end(self):
        """In order; those that did not."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + END_S
        bad = []
        for host, process in self.processes.items():
            try:
                status = process.wait(max(1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            if status:
                bad.append(f"{host}, status {status}: {self.last_line(host)}")
        return bad

    def close(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder)
