# SPDX-License-Identifier: Apache-2.0
"""The agent under test: started beside the lab's nova-compute, its log watched, its end checked."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import known_secrets
from cloud import LAB, REPO, lab_environment, wait_for
from tap import DEFAULT_METHOD

BINARY = os.environ.get("AGENT", f"{REPO}/build/nova-snapshot-agent")
METHOD = os.environ.get("LIVE_SNAPSHOT_METHOD", DEFAULT_METHOD)  # of all agents that name none
# Without what nova-compute does not tell: its records and messages are compared with the agent's.
AS_NOVA = {"snapshot_agent": {"report_progress": "false", "image_provenance": "false"}}


class Agent:
    """with Agent({"libvirt": {"snapshot_image_format": "raw"}}) as agent: ..."""

    def __init__(self, options=None, files=None, wait_attached=True):
        env = lab_environment()
        self.folder = tempfile.mkdtemp(prefix="nova-snapshot-agent-")
        self.log_file = f"{self.folder}/log"
        own = f"{self.folder}/agent.conf"
        options = {group: dict(values) for group, values in (options or {}).items()}
        options.setdefault("DEFAULT", {}).setdefault("graceful_shutdown_timeout", 60)
        options["DEFAULT"].setdefault("debug", "true")
        own_group = options.setdefault("snapshot_agent", {})
        own_group.setdefault("state_dir", f"{self.folder}/state")
        own_group.setdefault("control_socket", f"{self.folder}/control")
        own_group.setdefault("live_snapshot_method", METHOD)
        with open(own, "w", encoding="utf-8") as out:
            for group, values in options.items():
                out.write(f"[{group}]\n")
                out.writelines(f"{name} = {value}\n" for name, value in values.items())
        files = files or [env["LAB_NOVA_CONF"], env["LAB_NOVA_COMPUTE_CONF"]]
        self.argv = [BINARY]
        for name in [*files, own]:
            self.argv += ["--config-file", name]
        self.wait_attached = wait_attached
        self.process = None

    def start(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.argv, stderr=log, stdout=log)
        if self.wait_attached:
            self.wait_log("attached to")
        return self

    def stop(self, expect=0):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(90)
        assert code == expect, f"the agent ended with {code}:\n{self.log()}"
        self.assert_no_secret()

    def assert_no_secret(self):
        """Debug lines and all."""
        found = known_secrets.found_in(self.log())
        assert not found, f"the agent's log {self.keep_log()} shows {', '.join(found)}"

    def keep_log(self):
        return shutil.copy(self.log_file, f"{LAB}/log/agent-{self.process.pid}.log")

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def log(self):
        with open(self.log_file, encoding="utf-8", errors="replace") as lines:
            return lines.read()

    def wait_log(self, pattern, timeout=30, times=1):
        def found():
            if self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log()}")
            return len(re.findall(pattern, self.log())) >= times
        try:
            wait_for(f"'{pattern}' in the agent's log", found, timeout, 0.05)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log()}") from None

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, traceback):
        if kind and self.process:
            print("".join(f"# {line}\n" for line in self.log().splitlines()[-60:]), flush=True)
            self.process.kill()
            self.process.wait(10)
            self.keep_log()
        else:
            self.stop()
        shutil.rmtree(self.folder)


def leftovers():
    """Files of snapshots that should be over."""
    folder = f"{LAB}/nova/instances/snapshots"
    return os.listdir(folder) if os.path.isdir(folder) else []


def assert_nothing_left():
    deadline = time.monotonic() + 10
    while leftovers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers() == [], leftovers()
