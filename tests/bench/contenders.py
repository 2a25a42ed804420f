# SPDX-License-Identifier: Apache-2.0
"""Who takes the snapshots: nova-compute alone, or the agent beside it with one of its methods."""

import re
import shutil

import meters
from paths import BUILD, LAB, Defect, processes_of

from agent import Agent

METHODS = ("blockrebase", "blockcopy", "stream")
DEFAULT_METHOD = "blockrebase"
FLOORS = ("curl", "read")
LOGS = f"{BUILD}/bench.log"  # what the agents told, one after the other


class NovaCompute:
    """Its processes carry the lab's mark: itself and the privileged helper that runs qemu-img."""

    name = "nova-compute"

    def begin(self):
        pass

    def end(self, failed):
        pass

    def main(self):
        with open(f"{LAB}/run/nova-compute.pid", encoding="ascii") as pid:
            return int(pid.read())

    def processes(self):
        return processes_of("nova-compute")

    def taken(self):
        """How many snapshots it has begun by its method; None: not known."""
        return None


class AgentWith:
    """nova-compute idles meanwhile; what that costs is not counted for either."""

    def __init__(self, method):
        self.method = method
        self.name = f"agent/{method}"
        self.agent = None

    def begin(self):
        own = {} if self.method == DEFAULT_METHOD else {"live_snapshot_method": self.method}
        self.agent = Agent({"DEFAULT": {"debug": "false"}, "snapshot_agent": own})
        self.agent.start()

    def end(self, failed):
        log = self.agent.log()
        if failed:
            print("".join(f"# {line}\n" for line in log.splitlines()[-40:]))
        with open(LOGS, "a", encoding="utf-8") as logs:
            logs.write(f"== {self.name}\n{log}")
        try:
            self.agent.stop()
        finally:
            if self.agent.process.poll() is None:
                self.agent.kill()
            shutil.rmtree(self.agent.folder, ignore_errors=True)

    def main(self):
        return self.agent.process.pid

    def processes(self):
        return meters.tree(self.main())

    def taken(self):
        """Those it has gone over to another method with are none of this one's."""
        log = self.agent.log()
        return len(re.findall(f"Beginning live snapshot process .* by {self.method}$", log, re.M)) - \
            log.count("falling back from")


def named(name):
    if name == NovaCompute.name:
        return NovaCompute()
    method = name.removeprefix("agent/")
    if method not in METHODS:
        raise Defect(f"there is no contender {name}")
    return AgentWith(method)


ALL = (NovaCompute.name, *(f"agent/{method}" for method in METHODS), *FLOORS)
