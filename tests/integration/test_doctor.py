#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""nova-snapshot doctor in the lab: what it says of a good host and of one where one thing is wrong,
and that a snapshot is then taken as it has foretold."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))

import known_secrets
import tap
from agent import Agent
from cloud import REPO, Cloud, domain_xml, lab_environment, wait_for

TOOL = os.environ.get("TOOL", f"{REPO}/build/nova-snapshot")
MACHINES_OWN = "AppArmor"  # of which this machine may have a rule, or none


def run(*argv, prefix=()):
    """Exit status and output, which holds no secret."""
    done = subprocess.run([*prefix, *argv], capture_output=True, text=True, timeout=180, check=False)
    found = known_secrets.found_in(done.stdout + done.stderr)
    assert not found, f"{argv} shows {', '.join(found)}"
    return done.returncode, done.stdout, done.stderr


def read_only(folder):
    """What a command is run by that is to find the folder so."""
    return ["unshare", "--mount", "sh", "-c",
            f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec \"$@\"", "sh"]


def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def not_ok(report):
    """{check: (status, text)} of what is not, each with what to do."""
    told = {}
    for finding in report["findings"]:
        if finding["status"] != "ok" and finding["check"] != MACHINES_OWN:
            assert finding["remedy"], finding
            told[finding["check"]] = (finding["status"], finding["text"])
    return told


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Cloud()
        cls.addClassCleanup(cls.cloud.clean)
        # What others may have left in the lab's own is no business of theirs.
        cls.snapshots = tempfile.mkdtemp(prefix="doctor-test-", dir="/var/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.snapshots)
        os.chmod(cls.snapshots, 0o755)

    def agent(self, options=(), **kwargs):
        options = {group: dict(values) for group, values in dict(options).items()}
        options.setdefault("libvirt", {}).setdefault("snapshots_directory", self.snapshots)
        return Agent(options, **kwargs)

    def ask(self, agent, *words, expect=0):
        """The agent that runs."""
        code, out, err = run(TOOL, "doctor", *words, "--json", "--socket", f"{agent.folder}/control")
        self.assertEqual(code, expect, out + err)
        return json.loads(out)

    def look(self, agent, expect=5, prefix=()):
        """Its program, with its configuration."""
        code, out, err = run(*agent.argv, "--doctor", "--json", prefix=prefix)
        self.assertEqual(code, expect, out + err)
        return json.loads(out)

    def look_without(self, options, prefix=()):
        """What is not well besides that no agent runs."""
        agent = self.agent(options)
        self.addCleanup(shutil.rmtree, agent.folder)
        told = not_ok(self.look(agent, prefix=prefix))
        status, text = told.pop("agent")
        self.assertEqual((status, text[:9]), ("fail", "none runs"))
        return told

    def test_good_host(self):
        """all is well with an agent that runs, asked by the tool and beside it"""
        with self.agent() as agent:
            report = self.ask(agent)
            self.assertEqual(not_ok(report), {})
            self.assertEqual((report["host"], report["instance"]), ("cmp1", None))
            beside = self.look(agent, expect=0)
            self.assertEqual({check: status for check, (status, _) in not_ok(beside).items()},
                             {"agent": "warn"})
            code, out, _ = run(TOOL, "doctor", "--socket", f"{agent.folder}/control")
            self.assertEqual(code, 0, out)
            self.assertRegex(out, r"(?m)^ok    nova-compute +consumes compute.cmp1; service version \d+$")
            self.assertNotIn("detached from", agent.log())

    def test_without_agent(self):
        """without an agent that alone is wrong, and no request is taken meanwhile"""
        self.assertEqual(self.look_without({}), {})

    def test_tool_without_agent(self):
        """the tool runs the agent's program, by the files nova-compute reads, and ends as it does"""
        folder = tempfile.mkdtemp(prefix="doctor-test-")
        self.addCleanup(shutil.rmtree, folder)
        env = lab_environment()
        for name in ("LAB_NOVA_CONF", "LAB_NOVA_COMPUTE_CONF"):
            shutil.copy(env[name], folder)
        with open(f"{folder}/nova-snapshot-agent.conf", "w", encoding="utf-8") as out:
            out.write(f"[libvirt]\nsnapshots_directory = {self.snapshots}\n"
                      f"[snapshot_agent]\nstate_dir = {folder}/state\n")
        os.makedirs("/etc/nova", exist_ok=True)
        prefix = ["unshare", "--mount", "sh", "-c",
                  f"mount --bind {folder} /etc/nova && exec \"$@\"", "sh"]
        code, out, err = run(TOOL, "doctor", "--json", "--socket", f"{folder}/control", prefix=prefix)
        self.assertEqual(code, 5, out + err)
        self.assertEqual(list(not_ok(json.loads(out))), ["agent"])
        self.assertIn("no agent can be asked at", err)
        self.assertIn("nova-snapshot-agent looks itself", err)
        code, out, err = run(TOOL, "doctor", "no-such-guest", "--socket", f"{folder}/control",
                             prefix=prefix)
        self.assertEqual(code, 5, out + err)
        self.assertRegex(out, "(?m)^fail  guest +.*no-such-guest")
        with open(f"{folder}/nova-snapshot-agent.conf", "a", encoding="utf-8") as out:
            out.write("live_snapshot_methot = stream\n")
        code, out, err = run(TOOL, "doctor", "--socket", f"{folder}/control", prefix=prefix)
        self.assertEqual(code, 5, out + err)
        self.assertRegex(out, r"^fail  configuration +/etc/nova/nova-snapshot-agent.conf:5: .*has no "
                              "option 'live_snapshot_methot'")

    def test_wrong_broker_password(self):
        """a wrong password of the broker's is told as that"""
        with open(lab_environment()["LAB_NOVA_CONF"], encoding="utf-8") as lines:
            url = next(line.split("=", 1)[1].strip() for line in lines
                       if line.startswith("transport_url"))
        scheme, rest = url.split("://", 1)
        user, rest = rest.split(":", 1)
        told = self.look_without({"DEFAULT": {
            "transport_url": f"{scheme}://{user}:wrong{rest[rest.index('@'):]}"}})
        self.assertEqual({check: status for check, (status, _) in told.items()},
                         {"RabbitMQ": "fail", "nova-compute": "warn"})
        self.assertIn("ACCESS_REFUSED", told["RabbitMQ"][1])

    def test_wrong_service_password(self):
        """a wrong password of [service_user] is told as that; Cinder cannot be asked without it"""
        told = self.look_without({"service_user": {"password": "wrong-one"}})
        self.assertEqual({check: status for check, (status, _) in told.items()},
                         {"Keystone": "fail", "Cinder": "warn"})
        self.assertIn("Keystone refused the credentials", told["Keystone"][1])

    def test_glance_and_cinder_away(self):
        """services that do not answer are named; an agent that runs says why it takes nothing"""
        port = closed_port()
        options = {"glance": {"api_servers": f"http://127.0.0.1:{port}"},
                   "cinder": {"endpoint_template": f"http://127.0.0.1:{port}/v3/%(project_id)s"}}
        told = self.look_without(options)
        self.assertEqual({check: status for check, (status, _) in told.items()},
                         {"Glance": "fail", "Cinder": "fail"})
        self.assertIn(f"127.0.0.1:{port}", told["Glance"][1])
        with self.agent(options, wait_attached=False) as agent:
            agent.wait_log("cannot take snapshots")
            wait_for("its socket", lambda: os.path.exists(f"{agent.folder}/control"))
            # It does not wait for RabbitMQ to have answered before it can be asked.
            wait_for("its connection", lambda: "RabbitMQ" not in not_ok(self.ask(agent, expect=5)))
            told = not_ok(self.ask(agent, expect=5))
            self.assertEqual({check: status for check, (status, _) in told.items()},
                             {"agent": "warn", "Glance": "fail", "Cinder": "fail"})
            self.assertIn("Glance cannot be reached", told["agent"][1])

    def test_folders(self):
        """a folder that is read-only or not there, a host name that is not nova-compute's"""
        folder = tempfile.mkdtemp(prefix="doctor-test-")
        self.addCleanup(shutil.rmtree, folder)
        told = self.look_without({"libvirt": {"snapshots_directory": folder}}, read_only(folder))
        self.assertEqual({check: status for check, (status, _) in told.items()},
                         {"[libvirt]snapshots_directory": "fail"})
        self.assertIn("Read-only file system", told["[libvirt]snapshots_directory"][1])
        told = self.look_without({"DEFAULT": {"instances_path": f"{folder}/none"},
                                  "libvirt": {"snapshots_directory": folder}})
        self.assertEqual(list(told), ["[DEFAULT]instances_path"])
        told = self.look_without({"DEFAULT": {"host": "no-such-host"}})
        self.assertEqual(told, {"nova-compute": ("fail", "nobody consumes compute.no-such-host")})

    def test_changed_files(self):
        """an agent that runs tells that its files have changed, or become wrong"""
        with self.agent() as agent:
            own = agent.argv[-1]
            with open(own, "a", encoding="utf-8") as out:
                out.write("[glance]\nnum_retries = 17\n")
            told = not_ok(self.ask(agent))
            self.assertEqual(told, {"configuration": (
                "warn", "the files differ from what the agent runs with: [glance]num_retries")})
            with open(own, "a", encoding="utf-8") as out:
                out.write("num_retries = many\n")
            told = not_ok(self.ask(agent, expect=5))
            self.assertRegex(told["configuration"][1], r"the next start will fail: .*num_retries")

    def foretold(self, server, options):
        """The method that is told, by both names, and the one that is then taken."""
        before = domain_xml(server)
        with self.agent(options) as agent:
            report = self.ask(agent, server)
            name = self.cloud.server(server)["OS-EXT-SRV-ATTR:instance_name"]
            by_name = self.ask(agent, name)
            self.assertEqual((by_name["method"], by_name["bytes"], not_ok(by_name)),
                             (report["method"], report["bytes"], not_ok(report)))
            self.assertEqual(domain_xml(server), before)
            self.assertEqual(os.listdir(self.snapshots), [])
            record = self.cloud.snapshot(server, "foretold")
        self.assertEqual(record["snapshot_method"].split(",")[0], report["method"], report)
        return report

    def test_instance(self):
        """a snapshot is taken by the method that was told, whatever the wish and the guest's state"""
        server = self.cloud.create_server("it-doctor", self.cloud.image_named("lab-base"))
        for method in ("stream", "blockcopy", "blockrebase"):
            wish = {"snapshot_agent": {"live_snapshot_method": method}}
            report = self.foretold(server, wish)
            self.assertEqual((report["method"], not_ok(report)), (method, {}))
        report = self.foretold(server, {"workarounds": {"disable_libvirt_livesnapshot": "true"}})
        self.assertEqual(report["method"], "cold")
        self.cloud.action(server, "os-stop", wait="SHUTOFF")
        report = self.foretold(server, {"snapshot_agent": {"live_snapshot_method": "stream"}})
        self.assertEqual((report["method"], report["bytes"], not_ok(report)), ("stream", 0, {}))
        report = self.foretold(server, {"snapshot_agent": {"live_snapshot_method": "blockrebase"}})
        self.assertEqual((report["method"], not_ok(report)), ("cold", {}))


if __name__ == "__main__":
    tap.main()
