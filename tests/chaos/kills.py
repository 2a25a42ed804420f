# SPDX-License-Identifier: Apache-2.0
"""The agent killed with SIGKILL: at every failpoint a method passes, and at any moment."""

import hashlib
import json
import os

import methods
import failpoints
from lab import REPO, wait_until
from supervised import BINARY

NOVA = "image queued or saving, guest frozen, transient or saved; event open"
EARLY = ("request:written-down",)
COPYING = ("live:", "stream:", "cold:", "direct:")  # the driver has something to bring back
SHORT = ("live running", "quiesced", "stream quiesced", "compressed running",
         "cold running", "volume snapshot", "volume merge",
         "volume-backed cast", "direct")
CACHE = f"{REPO}/build/chaos-points.json"


def kill_at(point):
    def inject(case):
        deaths = case.agent.deaths
        case.failpoint.arm(point, "kill")
        case.attempt.start()
        wait_until(lambda: case.agent.deaths > deaths or case.attempt.settled(), 60, 0.1)
        return case.agent.deaths > deaths or not case.failpoint.release()
    return inject


def kill_twice(point, again):
    """The restarted agent is killed too, on its way back."""
    def inject(case):
        deaths = case.agent.deaths
        case.agent.on_death.append(lambda: case.failpoint.arm(again, "kill"))
        kill_at(point)(case)
        wait_until(lambda: case.agent.deaths > deaths + 1 or case.attempt.settled(), 20, 0.1)
        case.agent.on_death.clear()
        return case.agent.deaths > deaths + 1
    return inject


def kill_after(seconds):
    def inject(case):
        case.attempt.start()
        wait_until(case.attempt.settled, seconds, 0.05)
        case.agent.process.kill()
        return True
    return inject


class Passed:
    """Which method passes which point: learned by trying, kept for the same binary."""

    def __init__(self):
        with open(BINARY, "rb") as binary:
            self.binary = hashlib.file_digest(binary, "sha256").hexdigest()
        self.known = {}
        if os.path.exists(CACHE):
            with open(CACHE, encoding="utf-8") as cache:
                kept = json.load(cache)
            if kept["binary"] == self.binary:
                self.known = kept["passed"]

    def get(self, method, point):
        return self.known.get(f"{method.name} {point}")

    def set(self, method, point, value):
        self.known[f"{method.name} {point}"] = value
        with open(CACHE, "w", encoding="utf-8") as cache:
            json.dump({"binary": self.binary, "passed": self.known}, cache, indent=1)

    def of(self, method):
        """Points the method is known to pass."""
        return [p for p in failpoints.points() if self.get(method, p)]


def every_point(session, once=False, only=None):
    """A row for each point and method; `once`: each point with the first method that passes it."""
    passed = Passed()
    done = set()
    shortly = [methods.method(name) for name in SHORT]
    for method in only or (shortly if once else methods.METHODS):
        for point in failpoints.points():
            if not method.may_pass(point) or (once and point in done) or \
                    passed.get(method, point) is False:
                continue
            if session.row(method, f"kill -9 at {point}", kill_at(point), nova=NOVA):
                done.add(point)
                passed.set(method, point, True)
            else:
                passed.set(method, point, False)
    print("# points not passed: " + ", ".join(p for p in failpoints.points() if p not in done),
          flush=True)
    return passed


def on_the_way_back(session, passed, once=False, only=None, count=2):
    """Second deaths: at a point of recovery, and at one the request passes again."""
    recovery = [p for p in failpoints.points() if p.startswith("recover:")]
    for method in only or methods.METHODS[:1 if once else None]:
        for again in recovery + ([] if once else passed.of(method)):
            firsts = [p for p in passed.of(method)
                      if p.startswith(COPYING if again in recovery else "") and p not in EARLY]
            if firsts and (again in recovery or session.random.random() < count / 20):
                first = session.random.choice(firsts)
                session.row(method, f"kill -9 at {first}, then {again}", kill_twice(first, again),
                            nova=NOVA)


def any_moment(session, count, only=None):
    chosen = only or methods.METHODS
    plan = [(chosen[i % len(chosen)], session.random.uniform(0.1, 3.0)) for i in range(count)]
    for method, seconds in sorted(plan, key=lambda p: methods.METHODS.index(p[0])):
        session.row(method, f"kill -9 after {seconds:.2f} s", kill_after(seconds), nova=NOVA)
