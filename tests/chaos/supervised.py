# SPDX-License-Identifier: Apache-2.0
"""The agent as a service manager runs it: one that dies is started again at once."""

import shutil
import subprocess
import threading

from lab import SNAPSHOTS, wait_until

from agent import BINARY, Agent  # noqa: F401


class Supervised(Agent):
    """Deaths by SIGKILL are the tests' own; every other end is kept in `ends`."""

    def __init__(self, options, files=None):
        super().__init__(options, files)
        self.state_dir = f"{self.folder}/state"
        self.deaths = 0
        self.ends = []
        self.wanted = False
        self.on_death = []

    def start(self):
        self.wanted = True
        try:
            super().start()
        except AssertionError:
            self.remove()  # else it would be in the way of the next one
            raise
        threading.Thread(target=self.supervise, daemon=True).start()
        return self

    def supervise(self):
        while True:
            code = self.process.wait()
            if not self.wanted:
                return
            self.deaths += 1
            if code != -9:
                self.ends.append(code)
            if self.on_death:
                self.on_death.pop(0)()
            self.spawn()

    def spawn(self):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.argv, stderr=log, stdout=log)

    def stop(self, expect=0):
        self.wanted = False
        return super().stop(expect)

    def remove(self):
        """By force if need be, with its folder."""
        if self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def attached(self):
        """Whether the last process has told so."""
        text = self.log()
        return text.count("attached to") > text.count("detached from") and \
            text.rfind("attached to") > text.rfind(" serves host ") >= 0

    def wait_attached_again(self, timeout=40):
        if not wait_until(self.attached, timeout, 0.1):
            raise AssertionError(f"the agent does not attach:\n{self.log()[-3000:]}")

    def log_since(self, offset):
        return self.log()[offset:]


def options_of(proxies, **changes):
    """Short patience, so that a fault costs seconds; everything through the proxies."""
    options = {
        "DEFAULT": {"rpc_response_timeout": 10, "graceful_shutdown_timeout": 30},
        "libvirt": {"snapshots_directory": SNAPSHOTS},
        "glance": {"api_servers": proxies["glance"].url, "timeout": 20},
        "cinder": {"endpoint_template": f"{proxies['cinder'].url}/v3/%(project_id)s",
                   "timeout": 20},
        "service_user": {"auth_url": f"{proxies['keystone'].url}/v3", "timeout": 20},
        "snapshot_agent": {"stall_timeout": 10, "freeze_timeout": 5, "freeze_deadline": 15,
                           "volume_snapshot_timeout": 20, "attach_poll_interval": 1,
                           "scratch_reserve": 32},
    }
    for group, values in changes.items():
        options.setdefault(group, {}).update(values)
    return options
