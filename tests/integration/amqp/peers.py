# SPDX-License-Identifier: Apache-2.0
"""The processes of an AMQP test: a private broker, the bus under test, oslo.messaging peers."""

import atexit
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPO = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BUS_PEER = os.environ.get("BUS_PEER", f"{REPO}/build/tests/integration/amqp/bus_peer")
PATIENCE_S = 90 * int(os.environ.get("PATIENCE", "1"))


def wait_for(what, check, timeout=PATIENCE_S):
    """check() until it gives something true; that is returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(0.02)


def free_ports():
    """A base port with the next three free as well; hardly what another test has just found."""
    for base in random.sample(range(27700, 29700, 10), 200):
        try:
            for port in range(base, base + 4):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise AssertionError("no free ports")


def broker_version():
    """Of the RabbitMQ that Broker starts: (3, 10)."""
    there = glob.glob(f"{os.environ.get('RABBIT_ROOT', '')}/usr/lib/rabbitmq/lib/rabbitmq_server-*")
    return tuple(int(part) for part in there[0].rpartition("-")[2].split(".")[:2])


# Denied by default from 4.3 on, but not by Debian's.
TRANSIENT_QUEUES = "deprecated_features.permit.transient_nonexcl_queues"



class Broker:
    """A RabbitMQ node of our own; with `peer`, another Broker, in its cluster.

    `transient`: it permits queues that are neither durable nor exclusive, as RabbitMQ 4.3 does not;
    the oslo.messaging of our peers knows no others. `largest`: message, in bytes; as up to 3.x.
    """

    def __init__(self, peer=None, transient=True, largest=128 << 20):
        self.folder = tempfile.mkdtemp(prefix="amqp-test-")
        with open(f"{self.folder}/options", "w", encoding="ascii") as options:
            options.write(f"max_message_size = {largest}\n")
            if broker_version() >= (4,):
                options.write(f"{TRANSIENT_QUEUES} = {str(transient).lower()}\n")
        self.port = free_ports()
        self.make_certificates()
        atexit.register(self.close)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
        self.start(*[peer.folder] if peer else [])

    def node(self, verb, *argv):
        done = subprocess.run([f"{REPO}/tests/integration/rabbit-node", verb, self.folder, *argv],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode:
            raise AssertionError(f"rabbit-node {verb} {argv}: {done.stdout}")
        return done.stdout

    def start(self, *peer):
        self.node("start", str(self.port), *peer)
        self.is_running = True

    def stop(self):
        self.node("stop")
        self.is_running = False

    def kill(self):
        leader = "node" if os.environ.get("RABBIT_ROOT") else "pid"  # as rabbit-node
        with open(f"{self.folder}/{leader}", encoding="ascii") as pid:
            os.kill(int(pid.read()), signal.SIGKILL)
        self.is_running = False

    def ctl(self, *argv):
        return self.node("ctl", *argv)

    def url(self, query="", port=None, host="127.0.0.1"):
        return f"rabbit://guest:guest@{host}:{port or self.port}/{query}"

    def queues(self):
        """{name: (messages, consumers)}"""
        text = self.ctl("list_queues", "--no-table-headers", "name", "messages", "consumers")
        rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
        return {row[0]: (int(row[1]), int(row[2])) for row in rows}

    def make_certificates(self):
        tls = f"{self.folder}/tls"
        os.mkdir(tls)
        for name in ("ca", "other"):
            self.openssl(tls, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                         "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        self.openssl(tls, "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
                     "-keyout", "server.key", "-out", "server.csr")
        with open(f"{tls}/san", "w", encoding="utf-8") as out:
            out.write("subjectAltName=DNS:localhost\n")
        self.openssl(tls, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.pem")

    @staticmethod
    def openssl(folder, *argv):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def close(self):
        if os.path.isdir(self.folder):
            self.stop()
            shutil.rmtree(self.folder)


class Peer:
    """A process that speaks JSON lines."""

    def __init__(self, *argv):
        self.log = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, bufsize=1)
        self.all_events = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.ids = 0

    def read(self):
        for line in self.process.stdout:
            self.all_events.append(json.loads(line))

    def send(self, **command):
        self.ids += 1
        command.setdefault("id", self.ids)
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return command["id"]

    def events(self, kind, **keys):
        return [event for event in list(self.all_events) if event["event"] == kind
                and all(event.get(key) == value for key, value in keys.items())]

    def wait(self, kind, timeout=PATIENCE_S, **keys):
        return wait_for(f"{kind} {keys} of {self.process.args[:3]}",
                        lambda: self.events(kind, **keys), timeout)[0]

    def answer(self, number, timeout=PATIENCE_S):
        """The result or error of command `number`."""
        return wait_for(f"answer {number}", lambda: [event for event in list(self.all_events)
                                                     if event.get("id") == number], timeout)[0]

    def ask(self, timeout=PATIENCE_S, **command):
        return self.answer(self.send(**command), timeout)

    def log_text(self):
        with open(f"/proc/self/fd/{self.log.fileno()}", encoding="utf-8", errors="replace") as log:
            return log.read()

    def memory_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(next(line.split()[1] for line in status if line.startswith("VmRSS")))

    def peak_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(next(line.split()[1] for line in status if line.startswith("VmHWM")))

    def cpu_ns(self):
        """What all its threads have used so far."""
        tasks = f"/proc/{self.process.pid}/task"
        used = 0
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/schedstat", encoding="ascii") as stat:
                used += int(stat.read().split()[0])
        return used

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)
        for end in (self.process.stdin, self.process.stdout, self.log):
            end.close()

    def close(self):
        """Ends it by end of input; returns the exit status."""
        if self.process.poll() is None:
            self.process.stdin.close()
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "did not end"
        self.reader.join(5)
        return status


class Bus(Peer):
    def __init__(self, url, **options):
        options.setdefault("serve", ["snapshot_instance"])
        super().__init__(BUS_PEER, json.dumps({"url": url, **options}))
        self.started = self.wait("started")

    def attached(self):
        """As seen by the broker's clients: asked, not assumed."""
        before = len(self.events("attached"))
        self.send(do="attached")
        wait_for("attached", lambda: len(self.events("attached")) > before)
        return self.events("attached")[-1]["value"]


class Oslo(Peer):
    def __init__(self, url, role, *argv):
        super().__init__("/usr/bin/python3", f"{HERE}/oslo_peer.py", url, role, *argv)
        self.wait("started")


class CuttingProxy:
    """A TCP proxy; a connection on which the client says `word` hears nothing more and is cut.

    `silent`: accepts and never answers. `stalls`: not cut, but no longer read. `swallows`: what
    has the word in it does not come through, either.
    """

    def __init__(self, port, word=None, silent=False, stalls=False, swallows=False):
        self.target = ("127.0.0.1", port)
        self.word = word
        self.silent = silent
        self.stalls = stalls
        self.swallows = swallows
        self.cuts = 0
        self.pairs = []  # client, server
        self.forsaken = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        self.held = []
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.silent:
                self.held.append(client)
                continue
            server = socket.create_connection(self.target)
            mute = threading.Event()
            self.pairs.append((client, server))
            threading.Thread(target=self.upward, args=(client, server, mute), daemon=True).start()
            threading.Thread(target=self.downward, args=(client, server, mute),
                             daemon=True).start()

    def upward(self, client, server, mute):
        try:
            while data := client.recv(65536):
                if self.word and self.word in data:
                    mute.set()
                    self.cuts += 1
                    if self.stalls:
                        return
                    if self.swallows:
                        break
                server.sendall(data)
                if mute.is_set():
                    time.sleep(0.2)
                    break
        except OSError:
            pass
        for end in (client, server):
            if end in self.forsaken:
                continue
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def forsake(self):
        """Clients lose their connections, and the broker does not hear of it."""
        for client, server in self.pairs:
            self.forsaken.add(server)
            client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def downward(client, server, mute):
        try:
            while data := server.recv(65536):
                if not mute.is_set():
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for server in self.forsaken:
            server.close()
