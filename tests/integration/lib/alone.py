# SPDX-License-Identifier: Apache-2.0
"""An agent alone, with a private RabbitMQ: a Glance that stores nothing and the service manager are
played here, nova-compute and nova-conductor by oslo.messaging, when a test wants them."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
import uuid

import amqp
from peers import REPO, Broker, Oslo, wait_for

HOST = "alone.example.org"
QUEUE = f"compute.{HOST}"
TOKEN = "gAAAAABtoken-of-a-tenant"
BINARY = os.environ.get("AGENT", f"{REPO}/build/nova-snapshot-agent")


class Images(http.server.BaseHTTPRequestHandler):
    """A Glance that has each one, without content, and takes none."""

    def answer(self):
        self.send_error(404)

    def do_GET(self):
        if "/images/" not in self.path:
            self.answer()
            return
        body = json.dumps({"id": self.path.rsplit("/", 1)[-1], "status": "queued"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        self.server.deleted.append(self.path.rsplit("/", 1)[-1])
        self.answer()

    do_PATCH = do_PUT = answer

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


class AloneTest(unittest.TestCase):
    """What its tests begin with; it has none itself."""

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="alone-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.manager = ServiceManager(self.folder)
        self.addCleanup(self.manager.close)
        self.process = None
        glance = self.glance_server = http.server.HTTPServer(("127.0.0.1", 0), Images)
        glance.deleted = []
        threading.Thread(target=glance.serve_forever, daemon=True).start()
        self.addCleanup(glance.server_close)
        self.addCleanup(glance.shutdown)
        self.glance = f"http://127.0.0.1:{glance.server_port}"

    def configure(self, snapshots="$instances_path/snapshots", attach="shared", **options):
        options = {"graceful_shutdown_timeout": 60, "debug": "true", **options}
        lines = "".join(f"{name} = {value}\n" for name, value in options.items())
        with open(f"{self.folder}/nova.conf", "w", encoding="utf-8") as out:
            out.write(f"[DEFAULT]\nhost = {HOST}\nstate_path = {self.folder}\n"
                      f"transport_url = {self.broker.url()}\n{lines}"
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
                [BINARY, "--config-file", f"{self.folder}/nova.conf"], stderr=log, env=env,
                start_new_session=True)
        self.addCleanup(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # Its watchdog outlives it and writes to its folder.
        wait_for("nothing of the agent's", lambda: not self.is_alive(self.process.pid))
        for secret in ("s3cret", TOKEN, "guest:guest"):
            self.assertNotIn(secret, self.log())
        self.assertNotIn("Sanitizer", self.log())

    @staticmethod
    def is_alive(group):
        try:
            os.killpg(group, 0)
            return True
        except ProcessLookupError:
            return False

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as lines:
            return lines.read()

    def wait_log(self, text, times=1):
        wait_for(f"{times} times '{text}' in the log", lambda: self.log().count(text) >= times)

    def peer(self, topic, host):
        peer = Oslo(self.broker.url(), "server", topic, host)
        self.addCleanup(peer.kill)
        return peer

    def nova_compute(self):
        return self.peer("compute", HOST)

    def records(self):
        """Of requests, in the journal."""
        return os.listdir(f"{self.folder}/snapshot-agent/{HOST}.journal")

    def cast_snapshot(self, server=None, image=None):
        with open(f"{REPO}/tests/unit/agent/data/snapshot_instance.json", encoding="utf-8") as file:
            message = json.load(file)
        if server:
            message["args"]["instance"]["nova_object.data"]["uuid"] = server
        if image:
            message["args"]["image_id"] = image
        message.update(method="snapshot_instance", version="6.0", _unique_id=uuid.uuid4().hex,
                       _context_auth_token=TOKEN)
        body = json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)})
        connection = amqp.Connection(f"127.0.0.1:{self.broker.port}", "guest", "guest")
        connection.connect()
        with connection:
            connection.channel().basic_publish(
                amqp.Message(body, content_type="application/json", content_encoding="utf-8"),
                "", QUEUE)

    def attached(self):
        self.manager.wait(f"STATUS=attached to {QUEUE}, 0 running")
