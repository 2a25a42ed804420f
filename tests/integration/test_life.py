#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agent's life: signals and the service manager, with a private RabbitMQ.

Needs no lab: the requests it takes wait for a nova-conductor that is not there.
"""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import amqp
import tap
from peers import REPO, Broker, Oslo, wait_for

HOST = "life.example.org"
QUEUE = f"compute.{HOST}"
TOKEN = "gAAAAABtoken-of-a-tenant"
BINARY = os.environ.get("AGENT", f"{REPO}/build/nova-snapshot-agent")


def setUpModule():
    global broker
    broker = Broker()


def tearDownModule():
    broker.close()


class Images(http.server.BaseHTTPRequestHandler):
    """A Glance that has lost them all, unless its server says that they are there."""

    def answer(self):
        self.send_error(404)

    def do_GET(self):
        if not self.server.images_are_there:
            self.answer()
            return
        body = json.dumps({"id": self.path.rsplit("/", 1)[-1], "status": "queued"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_DELETE = do_PATCH = do_PUT = answer

    def log_message(self, *_):
        pass


class ServiceManager:
    """What systemd would hear; read at once, for a full socket would hold the agent."""

    def __init__(self, folder):
        self.path = f"{folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while message := self.socket.recv(4096):
            self.messages.append(message.decode())

    def close(self):
        self.socket.shutdown(socket.SHUT_RD)
        self.reader.join()
        self.socket.close()

    def heard(self, prefix=""):
        return [message for message in list(self.messages) if message.startswith(prefix)]

    def wait(self, prefix, times=1):
        wait_for(f"{prefix} {times} times", lambda: len(self.heard(prefix)) >= times)


class LifeTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="life-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.manager = ServiceManager(self.folder)
        self.addCleanup(self.manager.close)
        self.process = None
        glance = self.glance_server = http.server.HTTPServer(("127.0.0.1", 0), Images)
        glance.images_are_there = False
        threading.Thread(target=glance.serve_forever, daemon=True).start()
        self.addCleanup(glance.server_close)
        self.addCleanup(glance.shutdown)
        self.glance = f"http://127.0.0.1:{glance.server_port}"

    def configure(self, snapshots="$instances_path/snapshots", attach="shared", **options):
        options = {"graceful_shutdown_timeout": 60, "debug": "true", **options}
        lines = "".join(f"{name} = {value}\n" for name, value in options.items())
        with open(f"{self.folder}/nova.conf", "w", encoding="utf-8") as out:
            out.write(f"[DEFAULT]\nhost = {HOST}\nstate_path = {self.folder}\n"
                      f"transport_url = {broker.url()}\n{lines}"
                      f"[service_user]\npassword = s3cret\n[glance]\nendpoint_override = {self.glance}\n"
                      "[libvirt]\nconnection_uri = test:///default\n"
                      f"snapshots_directory = {snapshots}\n"
                      f"[snapshot_agent]\nattach = {attach}\nattach_poll_interval = 1\n"
                      f"state_dir = {self.folder}/snapshot-agent\n"
                      f"control_socket = {self.folder}/control\n")

    def start(self, watchdog_ms=2000, path=os.environ["PATH"], **options):
        self.configure(**options)
        os.makedirs(f"{self.folder}/instances", exist_ok=True)
        env = {**os.environ, "NOTIFY_SOCKET": self.manager.path, "PATH": path}
        if watchdog_ms:
            env["WATCHDOG_USEC"] = str(watchdog_ms * 1000)
        with open(f"{self.folder}/log", "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "--config-file", f"{self.folder}/nova.conf"], stderr=log, env=env)
        self.addCleanup(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for secret in ("s3cret", TOKEN, "guest:guest"):
            self.assertNotIn(secret, self.log())
        self.assertNotIn("Sanitizer", self.log())

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as lines:
            return lines.read()

    def wait_log(self, text, times=1):
        wait_for(f"{times} times '{text}' in the log", lambda: self.log().count(text) >= times)

    def peer(self, topic, host):
        peer = Oslo(broker.url(), "server", topic, host)
        self.addCleanup(peer.kill)
        return peer

    def nova_compute(self):
        return self.peer("compute", HOST)

    def records(self):
        """Of requests, in the journal."""
        return os.listdir(f"{self.folder}/snapshot-agent/{HOST}.journal")

    def cast_snapshot(self, server=None):
        with open(f"{REPO}/tests/unit/agent/data/snapshot_instance.json", encoding="utf-8") as file:
            message = json.load(file)
        if server:
            message["args"]["instance"]["nova_object.data"]["uuid"] = server
        message.update(method="snapshot_instance", version="6.0", _unique_id=uuid.uuid4().hex,
                       _context_auth_token=TOKEN)
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})
        connection = amqp.Connection(f"127.0.0.1:{broker.port}", "guest", "guest")
        connection.connect()
        with connection:
            connection.channel().basic_publish(
                amqp.Message(body, content_type="application/json", content_encoding="utf-8"),
                "", QUEUE)

    def attached(self):
        self.manager.wait(f"STATUS=attached to {QUEUE}, 0 running")

    def test_status(self):
        """life: ready, attached, detached, trying, and an end in order"""
        compute = self.nova_compute()
        self.start()
        self.manager.wait("READY=1")
        self.attached()
        self.assertEqual(len(self.manager.heard("READY=1")), 1)
        compute.kill()
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running")
        broker.ctl("stop_app")
        try:
            self.manager.wait("STATUS=trying to connect to RabbitMQ")
            beats = len(self.manager.heard("WATCHDOG=1"))
            self.manager.wait("WATCHDOG=1", beats + 3)  # not being connected is no reason to die
        finally:
            broker.ctl("start_app")
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running", 2)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0)
        self.assertEqual(len(self.manager.heard("STOPPING=1")), 1)
        self.manager.wait("STATUS=ending: ")

    def test_without_a_broker(self):
        """life: ready although there is no broker yet"""
        broker.ctl("stop_app")
        try:
            self.start()
            self.manager.wait("READY=1")
            self.manager.wait("STATUS=trying to connect to RabbitMQ")
        finally:
            broker.ctl("start_app")
        self.nova_compute()
        self.attached()

    def test_nobody_listens(self):
        """life: without a service manager nothing is told and an idle agent sleeps"""
        self.nova_compute()
        self.manager.path = ""
        self.start(watchdog_ms=0)
        self.wait_log("attached to")
        self.assertEqual(self.manager.heard(), [])
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            print(next(f"# idle agent: {line.strip()}" for line in status if "VmRSS" in line))

    def test_reload(self):
        """life: SIGHUP applies what it can, names what it cannot, refuses what is bad"""
        self.nova_compute()
        self.start()
        self.attached()
        self.configure(debug="true", max_concurrent_snapshots=2, rpc_response_timeout=7)
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("debug = true, max_concurrent_snapshots = 2, max_concurrent_disk_ops = 0")
        self.wait_log("needs a restart: [DEFAULT]rpc_response_timeout\n")
        self.manager.wait("READY=1", 2)
        order = [message.split("=")[0] for message in self.manager.heard()]
        self.assertLess(order.index("RELOADING"), len(order) - 1 - order[::-1].index("READY"))
        self.assertRegex(self.manager.heard("RELOADING=1")[0], r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        with open(f"{self.folder}/nova.conf", "a", encoding="utf-8") as out:
            out.write("no_such_option = 1\n")
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("the configuration stays as it was")
        self.manager.wait("READY=1", 3)
        os.unlink(f"{self.folder}/nova.conf")
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("the configuration stays as it was", 2)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0)

    def test_what_runs_has_its_time(self):
        """life: SIGTERM waits for what runs, SIGHUP does not disturb it, more time is asked for"""
        self.nova_compute()
        conductor = self.peer("conductor", "gone")
        self.start()
        self.attached()
        self.cast_snapshot()
        conductor.wait("served")
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGTERM)
        self.manager.wait(f"STATUS=ending: detached from {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.process.wait(40), 0, self.log())
        self.assertIn("Instance disappeared during snapshot", self.log())
        self.assertEqual(self.records(), [])
        self.assertEqual(self.manager.heard("RELOADING"), [])
        self.assertTrue(self.manager.heard("EXTEND_TIMEOUT_USEC=30000000"))

    def test_what_does_not_end(self):
        """life: what has not ended within graceful_shutdown_timeout is left, new requests are not taken"""
        compute = self.nova_compute()
        self.start(graceful_shutdown_timeout=4, rpc_response_timeout=60)
        self.attached()
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGTERM)
        self.manager.wait(f"STATUS=ending: detached from {QUEUE}, 1 running")
        self.cast_snapshot()
        compute.wait("served", method="snapshot_instance")
        self.assertIsNone(self.process.poll())
        self.assertEqual(self.process.wait(20), 1)
        self.wait_log("1 requests did not end within graceful_shutdown_timeout (4 s)")

    def test_a_bad_host_with_requests_left(self):
        """life: a host that is not fit for snapshots is nova-compute's, with what was left unbegun"""
        compute = self.nova_compute()
        self.start()
        self.attached()
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.kill()
        self.process.wait()
        self.start(snapshots="/proc/none")
        self.wait_log("this host cannot take snapshots, requests go to nova-compute until it can: "
                      "snapshots_directory cannot be used")
        self.manager.wait("READY=1", 2)
        self.manager.wait(f"STATUS=detached from {QUEUE}, 1 running, cannot take snapshots: "
                          "snapshots_directory cannot be used")
        self.cast_snapshot(str(uuid.uuid4()))
        wait_for("nova-compute to serve both", lambda: len(compute.events("served")) == 2)
        wait_for("an empty journal", lambda: self.records() == [])

    def test_a_host_that_becomes_fit(self):
        """life: an agent that has stood aside serves again once the host is right"""
        self.nova_compute()
        os.mkdir(f"{self.folder}/bin")
        self.start(path=f"{self.folder}/bin")
        self.wait_log("qemu-img: qemu-img is not to be found")
        self.assertEqual(self.manager.heard("STATUS=attached"), [])
        for program in "qemu-img", "qemu-nbd":
            os.symlink(shutil.which(program), f"{self.folder}/bin/{program}")
        self.wait_log("this host can take snapshots again")
        self.attached()
        self.assertEqual(self.log().count("this host cannot take snapshots"), 1)

    def test_drain(self):
        """life: SIGUSR1 leaves new requests to nova-compute, ends those that run, and stays"""
        compute = self.nova_compute()
        conductor = self.peer("conductor", "gone")
        self.start()
        self.attached()
        self.cast_snapshot()
        conductor.wait("served")
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log("drained: no request is taken any more until the next start, 1 are under way")
        self.cast_snapshot(str(uuid.uuid4()))
        compute.wait("served", method="snapshot_instance")
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running")
        self.assertEqual(len(compute.events("served")), 1)
        self.assertEqual(self.records(), [])
        self.assertIsNone(self.process.poll())
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0)

    def test_drain_alone(self):
        """life: SIGUSR1 where there is no nova-compute: requests wait for the next start"""
        self.start(attach="exclusive")
        self.attached()
        self.process.send_signal(signal.SIGUSR1)
        self.wait_log("drained: no request is taken any more")
        self.cast_snapshot()
        wait_for("a request that waits", lambda: broker.queues()[QUEUE] == (1, 0))
        self.assertEqual(self.records(), [])
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0)
        self.start(attach="exclusive")
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")

    def two_requests(self, server=None, **options):
        """One waits for nova-conductor, the other, of another server, for the only slot."""
        self.glance_server.images_are_there = True  # else what waits is cancelled
        self.start(max_concurrent_snapshots=1, graceful_shutdown_timeout=4,
                   rpc_response_timeout=60, **options)
        self.attached()
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        self.cast_snapshot(server)
        self.manager.wait(f"STATUS=attached to {QUEUE}, 2 running")

    def test_what_waits_goes_back(self):
        """life: a request that waits for its slot is handed back to nova-compute, at once"""
        compute = self.nova_compute()
        self.two_requests(str(uuid.uuid4()))
        self.process.send_signal(signal.SIGTERM)
        compute.wait("served", method="snapshot_instance")
        self.assertIsNone(self.process.poll())
        self.assertEqual(self.process.wait(20), 1)  # the other one still waits
        self.assertEqual(len(compute.events("served")), 1)
        self.assertIn("snapshot_instance is handed back to nova-compute", self.log())

    def test_what_waits_for_its_turn_stays(self):
        """life: a second request on a server stays with the first one: nova-compute may not meet it"""
        compute = self.nova_compute()
        self.two_requests()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 1)
        self.assertEqual(compute.events("served"), [])
        self.assertEqual(len(self.records()), 2)

    def test_what_waits_without_a_broker(self):
        """life: a request that cannot be handed back is the next agent's"""
        self.nova_compute()
        self.two_requests(str(uuid.uuid4()))
        broker.ctl("stop_app")
        try:
            self.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.process.wait(40), 1)
        finally:
            broker.ctl("start_app")
        self.assertEqual(len(self.records()), 2)


if __name__ == "__main__":
    tap.main()
