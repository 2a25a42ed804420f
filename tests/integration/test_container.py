#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Process 1 of the container, packaging/container/entrypoint, in a process namespace, with an agent and a
watchdog that only seem to be ones; and what README.md beside it gives to an agent with nova's number. Needs no
lab.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [f"{HERE}/lib", f"{HERE}/amqp"]

import tap
from peers import REPO, wait_for

PATIENCE_S = 60
# Its pid, signals and arguments go to a file. Nobody else holds the pipe whose end wakes the watchdog,
# which has the agent's argv[0] as the real one has; what has not is nobody to wait for.
AGENT = r"""#!/bin/bash
exec {watched}> >(exec -a nova-snapshot-agent bash -c 'read -r; sleep "$2"; echo thawed >>"$1"' - \
    "$LOG" "$THAWS_S")
(exec {watched}>&-; exec sleep 600) & helper=$!
for name in HUP USR1 USR2; do trap "echo $name >>$LOG" "$name"; done
trap 'echo TERM >>"$LOG"; exit 7' TERM
echo "$helper $*" >>"$LOG"
while :; do sleep 600 {watched}>&- & wait $!; done
"""
ENDS_AT_ONCE = r"""#!/bin/bash
trap 'exit 7' TERM
echo up >>"$LOG"
while :; do sleep 600 & wait $!; done
"""
OFTEN = 20  # each fourth was lost

NOVA = 42436  # kolla's
# The host's systemd-tmpfiles, then the container's user; nothing is listened on at the broker's port.
AS_NOVA = """mount -t tmpfs -o mode=755 tmpfs /run
systemd-tmpfiles --create "$1/tmpfiles"
exec setpriv --reuid={nova} --regid={nova} --clear-groups "$1/nova-snapshot-agent" --config-file "$1/conf"
"""
CONF = """[DEFAULT]
host = container.example.org
transport_url = rabbit://guest:guest@127.0.0.1:1/
instances_path = {folder}/instances
[snapshot_agent]
attach = exclusive
state_dir = {folder}/state
"""


def readme():
    with open(f"{REPO}/packaging/container/README.md", encoding="utf-8") as file:
        return file.read()


class ContainerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="nsa-container-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.log = f"{folder.name}/log"
        self.program(AGENT)

    def program(self, text):
        with open(f"{self.folder}/nova-snapshot-agent", "w", encoding="utf-8") as program:
            program.write(text)
        os.chmod(program.name, 0o755)

    def start(self, thaws_s=2, **environment):
        self.run_container(THAWS_S=str(thaws_s), **environment)
        self.helper = self.logged("--config-file x y").split()[0]
        self.agent = next(pid for pid in self.children(self.init()) if self.has_helper(pid))

    def run_container(self, **environment):
        errors = open(f"{self.folder}/errors", "w", encoding="utf-8")
        self.addCleanup(errors.close)
        self.container = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
             f"{REPO}/packaging/container/entrypoint", "--config-file", "x y"],
            stderr=errors,
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "LOG": self.log, **environment})
        self.addCleanup(self.end)

    def init(self):
        return self.children(self.container.pid)[0]

    def end(self):
        if self.container.poll() is None:
            self.container.kill()
            self.container.wait(PATIENCE_S)

    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
            return [int(child) for child in file.read().split()]

    def has_helper(self, pid):
        """Numbers in the namespace are others than here."""
        def inside(child):
            with open(f"/proc/{child}/status", encoding="utf-8") as file:
                return next(line.split()[-1] for line in file if line.startswith("NSpid:"))
        return self.helper in map(inside, self.children(pid))

    def said(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            return file.read().splitlines()

    def logged(self, word):
        return wait_for(word, lambda: next((line for line in self.said() if word in line), None), PATIENCE_S)

    def test_watchdog(self):
        """container: an agent that is killed has its guests thawed before all ends"""
        self.start()
        os.kill(self.agent, signal.SIGKILL)
        self.assertEqual(self.container.wait(PATIENCE_S), 128 + signal.SIGKILL)
        self.assertEqual(self.said()[1:], ["thawed"])

    def test_watchdog_that_hangs(self):
        """container: a watchdog that hangs does not keep the next agent from its start, and is told"""
        self.start(thaws_s=600, WATCHDOG_TIMEOUT_S="3")
        os.kill(self.agent, signal.SIGKILL)
        self.assertEqual(self.container.wait(PATIENCE_S), 128 + signal.SIGKILL)
        self.assertEqual(self.said()[1:], [])
        with open(f"{self.folder}/errors", encoding="utf-8") as errors:
            self.assertRegex(errors.read(), "has not ended within 3 s: .*the next start of the agent thaws")

    def test_signals(self):
        """container: signals reach the agent, whose end it is and whose status"""
        self.start()
        for name in ("HUP", "USR1", "USR2", "HUP"):
            os.kill(self.init(), signal.Signals[f"SIG{name}"])
            wait_for(name, lambda name=name: self.said()[-1] == name, PATIENCE_S)
        self.assertIsNone(self.container.poll())
        os.kill(self.init(), signal.SIGTERM)
        self.logged("TERM")
        self.assertEqual(self.container.wait(PATIENCE_S), 7)
        self.assertEqual(self.said()[1:], ["HUP", "USR1", "USR2", "HUP", "TERM", "thawed"])

    def test_end_at_once(self):
        """container: the status of an agent that ends while the signal is passed on"""
        self.program(ENDS_AT_ONCE)
        for _ in range(OFTEN):
            self.run_container()
            self.logged("up")
            os.kill(self.init(), signal.SIGTERM)
            self.assertEqual(self.container.wait(PATIENCE_S), 7)
            os.unlink(self.log)


class FoldersTest(unittest.TestCase):
    """Of docker run, and of the play."""

    def setUp(self):
        text = readme()
        start = text.index("\n## kolla-ansible")
        self.parts = text[:start], text[start:]
        self.made = [re.findall(r"^ *(d /run/\S+ 0700) root root -$", part, re.MULTILINE)
                     for part in self.parts]

    def test_given(self):
        """container: each folder below /run that is made for it is given to it"""
        for part, made in zip(self.parts, self.made):
            self.assertEqual(sorted(line.split()[1] for line in made),
                             sorted(set(re.findall(r"(/run/nova-\S+):\1\b(?!-)", part))))
        self.assertEqual(*self.made)

    def start_agent(self, folder):
        for name in ("nova-snapshot-agent", "nova-snapshot"):
            shutil.copy(f"{REPO}/build/{name}", folder)
        for name in ("instances", "state"):
            os.mkdir(f"{folder}/{name}", 0o700)
            os.chown(f"{folder}/{name}", NOVA, NOVA)
        for name, text in (("conf", CONF.format(folder=folder)),
                           ("tmpfiles", "".join(f"{line} {NOVA} {NOVA} -\n" for line in self.made[0]))):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as out:
                out.write(text)
        log = open(f"{folder}/log", "wb")
        self.addCleanup(log.close)
        agent = subprocess.Popen(["unshare", "--mount", "sh", "-ec", AS_NOVA.format(nova=NOVA), "sh", folder],
                                 stdout=log, stderr=subprocess.STDOUT)
        self.addCleanup(agent.wait, PATIENCE_S)
        self.addCleanup(agent.kill)
        return agent

    def test_operators(self):
        """container: an agent with nova's number answers its operators"""
        with tempfile.TemporaryDirectory(prefix="nsa-container-") as folder:
            os.chmod(folder, 0o755)
            agent = self.start_agent(folder)
            ask = ["nsenter", "-t", str(agent.pid), "--mount", f"{folder}/nova-snapshot", "status"]
            try:
                wait_for("an answer", lambda: b"on host container.example.org" in subprocess.run(
                    ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout, PATIENCE_S)
            except AssertionError as failure:
                with open(f"{folder}/log", encoding="utf-8") as log:
                    raise AssertionError(f"{failure}\n{log.read()}") from None


if __name__ == "__main__":
    tap.main()
