# SPDX-License-Identifier: Apache-2.0
"""A systemd of our own with the agent's unit in it, as `make install` makes it."""

import os
import pty
import re
import shutil
import subprocess
import tempfile
import threading

from peers import REPO, wait_for

PREFIX = "/opt/nsa"
UNIT = "nova-snapshot-agent.service"
BINARY = f"{PREFIX}/sbin/nova-snapshot-agent"
OWN_CONF = f"{PREFIX}/etc/nova/nova-snapshot-agent.conf"
TARGETS = ("sysinit", "basic", "shutdown", "network-online")


class SystemdRoot:
    """with SystemdRoot(nova_conf) as root: root.systemctl("start", UNIT)"""

    layered = []
    targets = ["all"]
    install = (f"make -s -C {REPO} install PREFIX={PREFIX} >/dev/null && "
               f"cp {PREFIX}/lib/systemd/system/{UNIT} /run/units/")

    def __init__(self, nova_conf):
        self.folder = tempfile.mkdtemp(prefix="systemd-test-", dir="/var/tmp")
        os.mkdir(f"{self.folder}/units")
        for name in TARGETS:
            with open(f"{self.folder}/units/{name}.target", "w", encoding="ascii") as out:
                out.write(f"[Unit]\nDescription={name}\nDefaultDependencies=no\n")
        os.mkdir(f"{self.folder}/nova")
        with open(f"{self.folder}/nova/nova.conf", "w", encoding="utf-8") as out:
            out.write(nova_conf)
        self.process = None
        self.text = b""

    def __enter__(self):
        if not self.layered:  # inside, where it is installed from, it could not be built
            subprocess.run(["make", "-s", "-C", REPO, *self.targets], check=True,
                           stdout=subprocess.DEVNULL)
        master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [f"{REPO}/tests/integration/lib/systemd-root", *self.layered, self.folder,
             os.ttyname(slave), "sh", "-ec", self.install], stdin=subprocess.DEVNULL)
        self.ends = (master, slave)
        threading.Thread(target=self.read, args=(master,), daemon=True).start()
        try:
            self.pid = wait_for("systemd", self.find_systemd, 60)
            wait_for("a systemd that is up", lambda: "active" == self.output(
                "systemctl", "is-active", "basic.target"), 60)
        except Exception as failure:
            self.__exit__()
            raise AssertionError(f"{failure}\n{self.console()}") from None
        return self

    def __exit__(self, *_):
        if pid := self.find_systemd():
            os.kill(pid, 9)
        else:
            self.process.terminate()
        self.process.wait(30)
        os.close(self.ends[1])
        shutil.rmtree(self.folder)

    def read(self, master):
        try:
            while data := os.read(master, 4096):
                self.text += data
        except OSError:  # the other end is closed
            pass
        os.close(master)

    def console(self):
        """What systemd and the agent have said."""
        return self.text.decode(errors="replace").replace("\r\n", "\n")

    def find_systemd(self):
        """It is a descendant of what we have started."""
        pids = [self.process.pid]
        while pids:
            pid = pids.pop()
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                    if comm.read().strip() == "systemd":
                        return pid
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                    pids += [int(child) for child in children.read().split()]
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                pass
        return None

    def run(self, *argv):
        return subprocess.run(["nsenter", "-t", str(self.pid), "-a", "--wd=/", *argv], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120,
                              stderr=subprocess.STDOUT, check=False)

    def output(self, *argv):
        return self.run(*argv).stdout.strip()

    def systemctl(self, *argv):
        done = self.run("systemctl", *argv)
        if done.returncode:
            raise AssertionError(f"systemctl {argv}: {done.stdout}\n{self.console()[-4000:]}")
        return done.stdout.strip()

    def show(self, name):
        return self.systemctl("show", "--value", "-p", name, UNIT)

    def drop_in(self, text):
        """What an administrator adds to the unit; "" for nothing."""
        self.run("sh", "-ec", f"mkdir -p /run/units/{UNIT}.d; "
                 f"printf '[Service]\\n{text}\\n' >/run/units/{UNIT}.d/test.conf")
        self.systemctl("daemon-reload")

    def processes(self):
        """{pid: name} of the unit, as the namespace numbers them."""
        text = self.output("sh", "-c", f"for pid in $(cat /sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs); "
                           "do echo $pid $(cat /proc/$pid/comm); done")
        return {int(pid): name for pid, name in re.findall(r"^(\d+) (\S+)$", text, re.MULTILINE)}
