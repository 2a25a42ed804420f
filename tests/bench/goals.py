# SPDX-License-Identifier: Apache-2.0
"""The table of goals: what is promised of the figures."""

import json
from dataclasses import dataclass
from statistics import median

from contenders import METHODS
from paths import BUILD, MIB
from results import worst

NOVA, STREAM = "nova-compute", "agent/stream"


@dataclass
class Goal:
    name: str
    goal: float
    runs: list

    @property
    def value(self):
        return median(self.runs) if self.runs else None

    @property
    def reached(self):
        return self.value is not None and self.value <= self.goal

    def verdict(self):
        if self.value is None:
            return "not measured"
        return "reached" if self.reached else "missed"

    def record(self):
        return {"name": self.name, "value": rounded(self.value), "goal": self.goal,
                "runs": [rounded(run) for run in self.runs]}


def rounded(value):
    return None if value is None else round(value, 4)


def goals(results):
    def against(contender, scenario, other=NOVA, figure="seconds"):
        return results.ratios((scenario, contender), (scenario, other), figure)

    def slowest(one, other, contender=None):
        """Of the three methods: a scenario against another, or against a contender in the other."""
        return worst([results.ratios((one, f"agent/{m}"), (other, contender or f"agent/{m}"))
                      for m in METHODS])

    agents = [f"agent/{m}" for m in METHODS]
    return [
        Goal("stream / nova-compute, cast to active, 2 GiB", 0.5, against(STREAM, "2g")),
        Goal("stream / curl floor, 2 GiB", 1.15, against(STREAM, "2g", "curl")),
        Goal("blockrebase / nova-compute, cast to active, 2 GiB", 0.75,
             against("agent/blockrebase", "2g")),
        Goal("slowest method / nova-compute, cast to active, 100 MB", 0.6,
             slowest("100m", "100m", NOVA)),
        Goal("MiB staged on disk by stream, 2 GiB", 0, whole_mib(
            results.values("2g", STREAM, "staged_bytes"))),
        Goal("CPU of stream / nova-compute, helpers included, 2 GiB", 0.35,
             against(STREAM, "2g", figure="cpu_s")),
        Goal("MiB of memory, the agent, 5 streams at once", 40,
             results.values("5x1g", STREAM, "rss_mib")),
        Goal("MiB of memory, the agent at rest", 12,
             worst_present([every(results, agent, "rss_idle_mib") for agent in agents])),
        Goal("seconds per GiB, slowest method, 8 GiB / 2 GiB", 1.1,
             [ratio / 4 for ratio in slowest("8g", "2g")]),
        Goal("1 GiB in a sparse 50 GiB disk / plain, slowest method", 1.1,
             slowest("sparse", "1g")),
        Goal("slowest method / nova-compute, raw base with a tenth of data", 1,
             slowest("raw-base", "raw-base", NOVA)),
        Goal("slowest method / nova-compute, 1 GiB of data in 8 GiB allocated", 1,
             slowest("allocated", "allocated", NOVA)),
    ]


def whole_mib(values):
    """The head of an empty scratch file and the agent's own records are less than one."""
    return [value // MIB for value in values]


def every(results, contender, figure):
    return [value for scenario in results.runs
            for value in results.values(scenario, contender, figure)]


def worst_present(candidates):
    return worst([runs for runs in candidates if runs] or [[]])


def write(found):
    with open(f"{BUILD}/bench.json", "w", encoding="utf-8") as out:
        json.dump([goal.record() for goal in found], out, indent=1)
        out.write("\n")
