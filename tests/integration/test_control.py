#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nova-snapshot and the socket it asks, with a real agent and a private RabbitMQ.

Needs no lab: the requests the agent takes wait for a nova-conductor that is not there.
"""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from alone import BINARY, HOST, QUEUE, AloneTest
from peers import PATIENCE_S, REPO, wait_for

TOOL = os.environ.get("TOOL", f"{REPO}/build/nova-snapshot")
NO_SUCH_IMAGE = "00000000-0000-4000-8000-000000000000"


class ControlTest(AloneTest):
    def tool(self, *words, expect=0):
        done = subprocess.run([TOOL, *words, "--socket", f"{self.folder}/control"], timeout=60,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, expect, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def answer(self, *words):
        return json.loads(self.tool(*words, "--json"))

    def curl(self, path, *options):
        """Status and body."""
        done = subprocess.run(["curl", "-s", "-m", "20", "-w", "\n%{http_code}", *options, "--unix-socket",
                               f"{self.folder}/control", f"http://agent{path}"],
                              capture_output=True, text=True, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def begin(self, **options):
        self.nova_compute()
        self.start(**options)
        self.attached()

    def two_requests(self):
        """One waits for nova-conductor, the other, of another server, for the only slot."""
        self.begin(max_concurrent_snapshots=1, graceful_shutdown_timeout=15, rpc_response_timeout=60)
        self.cast_snapshot()
        self.manager.wait(f"STATUS=attached to {QUEUE}, 1 running")
        second = str(uuid.uuid4())
        self.cast_snapshot(str(uuid.uuid4()), second)
        self.manager.wait(f"STATUS=attached to {QUEUE}, 2 running")
        return second

    def test_status(self):
        """control: status, in words, as JSON and by curl; only the agent's user may ask"""
        self.begin()
        self.assertIn(f"on host {HOST}\nstate         attached, takes requests\n"
                      "host          can take snapshots\n", self.tool("status"))
        status = self.answer("status")
        self.assertEqual((status["state"], status["drained"], status["fit"], status["running"]),
                         ("attached", False, True, 0))
        self.assertEqual((status["queue"], status["troubles"]), (f"compute.{HOST}", []))
        for member, look in (("broker", r":\d+$"), ("libvirt", r"^\d+\.\d+\.\d+$"), ("qemu", r"^\d+\.\d+\.\d+$")):
            self.assertRegex(status[member], look)
        self.assertIn(f"queue         compute.{HOST} at {status['broker']}\n"
                      f"hypervisor    libvirt {status['libvirt']}, QEMU {status['qemu']}\n", self.tool("status"))
        self.assertEqual(status.pop("jobs"), [])
        self.assertEqual(self.curl("/v1/status"), (200, status))
        self.assertEqual(self.curl("/healthz"), (200, {"healthy": True, "reasons": []}))
        self.assertEqual(self.curl("/v1/drain"), (405, {"error": {
            "code": 405, "message": "this cannot be done with it"}}))
        mode = os.lstat(f"{self.folder}/control").st_mode
        self.assertEqual((stat.S_ISSOCK(mode), stat.S_IMODE(mode)), (True, 0o600))
        refused = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", "curl", "-s", "-m", "5", "--unix-socket",
             f"{self.folder}/control", "http://agent/healthz"], capture_output=True, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(refused.stdout, b"")

    def test_health_without_a_broker(self):
        """control: without RabbitMQ the agent answers, and is not healthy"""
        self.broker.ctl("stop_app")
        try:
            self.start()
            self.manager.wait("READY=1")
            self.assertEqual(self.answer("status")["state"], "connecting")
            code, health = self.curl("/healthz")
            self.assertEqual((code, health["reasons"]), (503, ["RabbitMQ is not connected"]))
        finally:
            self.broker.ctl("start_app")

    def test_jobs(self):
        """control: what is under way is listed, found and cancelled; the image goes"""
        second = self.two_requests()
        first, waiting = self.answer("jobs")["jobs"]
        self.assertEqual([first["phase"], waiting["phase"]], ["preparation", "slot"])
        self.assertEqual(waiting["image"], second)
        self.assertEqual(self.answer("show", second)["id"], waiting["id"])
        self.assertIn(waiting["instance"], self.tool("jobs"))
        self.assertIn("limits   disk not read yet, upload ", self.tool("throttle", second))
        self.assertEqual(self.answer("status")["slots"]["snapshots"],
                         {"limit": 1, "taken": 1, "waiting": 1})
        self.tool("show", NO_SUCH_IMAGE, expect=4)
        self.tool("cancel", NO_SUCH_IMAGE, expect=4)
        self.tool("cancel", str(waiting["id"]))
        self.wait_log(f"an operator cancels the snapshot of image {second}")
        wait_for("the image to be deleted", lambda: self.glance_server.deleted == [second])
        self.assertNotEqual(self.answer("show", second)["phase"], "slot")

    def test_drain_and_resume(self):
        """control: a drained agent leaves requests to nova-compute, a resumed one takes them again"""
        compute = self.nova_compute()
        self.start()
        self.attached()
        self.assertEqual(self.tool("drain", "--wait", "30"),
                         "no more requests are taken, those under way go on\n")
        self.manager.wait(f"STATUS=detached from {QUEUE}, 0 running")
        self.assertTrue(self.answer("status")["drained"])
        self.cast_snapshot()
        compute.wait("served", method="snapshot_instance")
        self.tool("resume")
        wait_for("the agent to be attached", lambda: self.answer("status")["state"] == "attached")
        self.assertFalse(self.answer("status")["drained"])
        self.cast_snapshot(str(uuid.uuid4()))
        wait_for("a job", lambda: self.answer("jobs")["jobs"])
        self.tool("drain", "--wait", "1", expect=1)
        self.assertEqual(len(compute.events("served")), 1)

    def test_limits_and_log(self):
        """control: limits and the log level change at once, and SIGHUP puts them back"""
        self.begin(debug="false")
        self.assertIn("disk 30 MiB/s (host: 40 MiB/s), upload none (host: none)",
                      self.tool("throttle", "--disk", "30", "--disk-host", "40"))
        self.wait_log("disk_rate_limit = 30 (host: 40), upload_rate_limit = 0 (host: 0)")
        self.tool("throttle", "--upload", "many", expect=2)
        self.assertEqual(self.answer("status")["limits"]["disk_rate_limit"], 30)
        self.assertNotIn("DEBUG", self.log())
        self.assertEqual(self.answer("log-level", "debug")["log_level"], "debug")
        self.wait_log("DEBUG")
        self.tool("log-level", "loud", expect=1)
        self.tool("log-level", "debug", "--modules", "kitchen", expect=1)
        self.process.send_signal(signal.SIGHUP)
        self.wait_log("the configuration was read again")
        wait_for("the configured limits", lambda: self.answer("status")["limits"]["disk_rate_limit"] == 0)
        self.assertEqual(self.answer("status")["log_level"], "info")

    def not_ok(self, words=(), expect=5):
        """{check: text} of what doctor finds that is not ok, besides what this machine's AppArmor has."""
        report = json.loads(self.tool("doctor", *words, "--json", expect=expect))
        return {finding["check"]: finding["text"] for finding in report["findings"]
                if finding["status"] != "ok" and finding["check"] != "AppArmor"}

    def test_doctor(self):
        """control: doctor names what is missing, holds up nobody meanwhile, and not the agent's end"""
        self.begin(rpc_response_timeout=5)
        with subprocess.Popen([TOOL, "doctor", "--json", "--socket", f"{self.folder}/control"],
                              stdout=subprocess.PIPE, text=True) as doctor:
            self.wait_log("asking conductor: Service.get_by_host_and_binary", times=2)
            self.assertEqual(self.answer("status")["state"], "attached")
            self.assertIsNone(doctor.poll())
            out, _ = doctor.communicate(timeout=60)
        self.assertEqual((doctor.returncode, json.loads(out)["host"]), (5, HOST))
        told = self.not_ok()
        self.assertEqual(sorted(told), ["Cinder", "Keystone", "nova-compute"])
        self.assertIn("nova-conductor does not tell its version", told["nova-compute"])
        self.assertEqual(list(self.not_ok(["no-such-guest"])), ["guest"])
        with subprocess.Popen([TOOL, "doctor", "--socket", f"{self.folder}/control"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as doctor:
            self.wait_log("asking conductor: Service.get_by_host_and_binary", times=4)
            self.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.process.wait(PATIENCE_S), 0)
            doctor.wait(60)

    def program(self, prefix=()):
        """The same, of the agent's program where none runs."""
        done = subprocess.run([*prefix, BINARY, "--config-file", f"{self.folder}/nova.conf", "--doctor",
                               "--json"], capture_output=True, text=True, timeout=90, check=False)
        self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
        self.assertNotIn("s3cret", done.stdout + done.stderr)
        return {finding["check"]: finding["text"] for finding in json.loads(done.stdout)["findings"]
                if finding["status"] == "fail"}

    def test_doctor_without_an_agent(self):
        """control: doctor's program names what fails, takes no request and leaves nothing"""
        compute = self.nova_compute()
        self.configure(rpc_response_timeout=5)
        os.makedirs(f"{self.folder}/instances/snapshots")
        self.assertEqual(sorted(self.program()), ["agent", "nova-compute"])
        self.cast_snapshot()
        compute.wait("served", method="snapshot_instance")
        self.glance_server.shutdown()
        self.glance_server.server_close()
        told = self.program()
        self.assertIn("Glance cannot be reached", told["Glance"])
        self.assertFalse(os.path.exists(f"{self.folder}/snapshot-agent"))
        self.assertEqual(os.listdir(f"{self.folder}/instances/snapshots"), [])
        url = self.broker.url()
        self.configure(transport_url=url.replace(":guest@", ":wrong@"))
        self.assertIn("ACCESS_REFUSED", self.program()["RabbitMQ"])
        self.configure()
        folder = f"{self.folder}/instances/snapshots"
        told = self.program(["unshare", "--mount", "sh", "-c", f"mount --bind {folder} {folder} && "
                             f"mount -o remount,ro,bind {folder} && exec \"$@\"", "sh"])
        self.assertIn("Read-only file system", told["[libvirt]snapshots_directory"])

    def test_bad_clients(self):
        """control: clients that are stuck or talk nonsense hold nobody; an end in order takes the socket"""
        self.begin()
        stuck = []
        for _ in range(12):
            client = socket.socket(socket.AF_UNIX)
            client.connect(f"{self.folder}/control")
            client.sendall(b"PUT /v1/throttle HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
            stuck.append(client)
        self.assertEqual(self.answer("status")["state"], "attached")
        for client in stuck:
            client.close()
        self.assertEqual(self.curl("/v1/throttle", "-X", "PUT", "-d", "{\"disk_rate_limit\": 1e400}")[0], 400)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{self.folder}/control")
            client.sendall(os.urandom(4096))
        self.tool("status")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(PATIENCE_S), 0)
        self.assertFalse(os.path.exists(f"{self.folder}/control"))
        self.assertIn("no agent can be asked", self.tool("status", expect=3))

    def test_after_a_death(self):
        """control: an agent that follows one that was killed takes its socket"""
        self.begin()
        self.process.kill()
        self.process.wait()
        self.assertTrue(os.path.exists(f"{self.folder}/control"))
        self.tool("status", expect=3)
        self.start()
        wait_for("an answer", lambda: self.manager.heard("READY=1")[1:])
        self.tool("status")


if __name__ == "__main__":
    tap.main()
