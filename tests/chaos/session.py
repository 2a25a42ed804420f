# SPDX-License-Identifier: Apache-2.0
"""One run against the lab: its agent, proxies and servers, and how a fault becomes a row."""

import os
import random
import shutil
import sys
import time
import traceback

import checker
import methods
import servers
from checker import Expect
from http_proxy import HttpProxy
from lab import (LAB, SNAPSHOTS, Cloud, NotOurs, helper_processes, mount_small_disk,
                 unmount_small_disk, wait_until)
from supervised import Supervised, options_of
from table import Row, Table
from failpoints import Failpoint

RECORD_S = 90


class Session:
    settle_s, grace_s = 60, checker.GRACE_S

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.cloud = Cloud()
        self.proxies = {name: HttpProxy(*self.cloud.env[f"LAB_{name.upper()}_URL"][7:].split(":"))
                        for name in ("glance", "cinder", "keystone")}
        self.table = Table()
        self.agent = None
        self.agent_options = None
        self.servers = None
        self.deferred = []  # (row, file of the agent that has to go)

    def __enter__(self):
        unmount_small_disk()
        mount_small_disk()
        self.servers = servers.Servers(self.cloud)
        return self

    def __exit__(self, *_):
        self.stop_agent()
        self.servers.clean()
        self.cloud.clean()
        unmount_small_disk()

    # --- the agent
    def use_agent(self, options):
        """The agent with these options (a name of methods.OPTIONS), attached."""
        if self.agent_options != options:
            self.stop_agent()
            changes = methods.OPTIONS[options]
            self.agent = Supervised(options_of(self.proxies, **changes),
                                    self.files_of(options)).start()
            self.agent_options = options
        self.agent.wait_attached_again()
        return self.agent

    def files_of(self, options):
        names = ["NOVA_CONF", "NOVA_COMPUTE_CONF"]
        if options == "rbd":
            names.append("NOVA_COMPUTE_RBD_CONF")
        return [self.cloud.env[f"LAB_{name}"] for name in names]

    def stop_agent(self):
        self.await_records()
        if self.agent:
            try:
                self.agent.stop()
            except AssertionError as failure:
                print(f"# {failure}"[:300], flush=True)
            finally:
                self.agent.remove()
        self.agent = self.agent_options = None

    def renew_agent(self):
        """After a fault that may have left its mark on it."""
        self.stop_agent()

    @property
    def failpoint(self):
        return Failpoint(self.agent.state_dir)

    def await_records(self):
        """A request whose end the agent had to wait for leaves its record a minute at most,
        counted from the agent's last death: no life knows what an earlier one has waited for."""
        deadline = time.monotonic() + RECORD_S
        for row, path in self.deferred:
            if not wait_until(lambda p=path: not os.path.exists(p), deadline - time.monotonic()):
                row.violations.append(("leaked", "record " + os.path.basename(path)))
                print(f"# {row.method}, {row.fault}: LEAKED: its record stays", flush=True)
        self.deferred = []

    # --- a row
    def row(self, method, fault, inject, matrix="F27", nova="", expect=None, server=None):
        """
        inject(case) starts case.attempt.start() and makes the fault happen; what it returns False
        for did not happen and is no row. None is good.
        """
        begin = time.monotonic()
        case = Case(self, method, server, expect or Expect())
        try:
            case.open()
            happened = inject(case)
            if happened is False:
                case.expect = Expect()
            outcome = case.close()
        except NotOurs as reason:
            print(f"# {method.name}, {fault}: {reason}", flush=True)
            case.repair()
            return True
        except Exception as failure:  # pylint: disable=broad-except
            happened = None
            outcome = checker.Outcome(f"the test itself: {failure}"[:160], 0, [])
            outcome.violations.append(("stuck", outcome.text))
            traceback.print_exc(limit=4, file=sys.stdout)
            case.repair()
        row = Row(matrix=matrix, method=method.name, fault=fault, nova=nova, ours=outcome.text,
                  violations=outcome.violations, seconds=time.monotonic() - begin)
        if happened is not False or outcome.violations:
            self.table.add(row, case.log())
            self.deferred += [(row, path) for path in outcome.records]
        return happened is not False


class Case:
    """One fault on one server."""

    def __init__(self, session, method, server, expect):
        self.session, self.method, self.expect = session, method, expect
        self.cloud, self.proxies, self.random = session.cloud, session.proxies, session.random
        self.server = server
        self.agent = self.attempt = self.before = None
        self.restore = []  # what ends the fault, called in any case
        self.kept_log = ""
        self.log_start = 0

    def open(self):
        self.server = self.server or self.session.servers.get(self.method.kind)
        self.agent = self.session.use_agent(self.method.options)
        self.attempt = self.method.new_attempt(self.cloud, self.server)
        self.attempt.prepare()
        self.log_start = len(self.agent.log())
        self.before = checker.look(self.server.id, self.agent.state_dir, self.server.has_agent,
                                   self.server.volumes, self.server.kind == "rbd")

    @property
    def uuid(self):
        return self.server.id

    @property
    def failpoint(self):
        return self.session.failpoint

    def begin(self, fault):
        """A fault with begin() and end(): ended by end_faults()."""
        self.restore.append(fault.end)
        fault.begin()

    def end_faults(self):
        while self.restore:
            self.restore.pop()()

    def close(self):
        self.end_faults()
        seconds = checker.settle(self.attempt, self.session.settle_s)
        self.failpoint.release()
        for proxy in self.proxies.values():
            proxy.release()
        outcome = checker.judge(self.before, self.attempt, self.expect, seconds,
                                self.session.grace_s)
        if self.agent.ends:
            outcome.violations += [("lost", f"the agent ended with {c}") for c in self.agent.ends]
            self.agent.ends = []
        if not outcome.violations:
            self.tidy()
        elif all(kind == "leaked" and what.startswith("/") for kind, what in outcome.violations):
            self.sweep()
            self.tidy()
        else:
            self.repair()
        return outcome

    def tidy(self):
        try:
            self.attempt.clean()
        except Exception as failure:  # pylint: disable=broad-except
            print(f"# cleaning up: {failure}"[:200], flush=True)
            self.repair()

    def repair(self):
        """A fresh server and empty folders, so that the next fault is judged by itself."""
        self.kept_log = self.log()
        self.end_faults()
        for proxy in self.proxies.values():
            proxy.release()
        if self.session.agent:
            self.failpoint.release()
        self.session.renew_agent()
        if self.server:
            try:
                self.session.servers.discard(self.server)
            except Exception as failure:  # pylint: disable=broad-except
                print(f"# the server stays: {failure}"[:200], flush=True)
        self.sweep()

    def sweep(self):
        for pid, _ in helper_processes():
            os.kill(pid, 9)
        for folder in (SNAPSHOTS, f"{LAB}/nova/instances/snapshots"):
            for name in os.listdir(folder) if os.path.isdir(folder) else []:
                shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
        if self.before:
            for image in checker.images() - self.before.images:
                self.cloud.glance("DELETE", f"/v2/images/{image}", ok=False)

    def log(self):
        return self.kept_log or (self.agent.log_since(self.log_start) if self.agent else "")
