# SPDX-License-Identifier: Apache-2.0
"""Rows of faults and what became of them."""

import json
import os
from dataclasses import dataclass, field

from lab import REPO

KINDS = ("lost", "leaked", "stuck")


@dataclass
class Row:
    matrix: str
    method: str
    fault: str
    nova: str
    ours: str
    violations: list = field(default_factory=list)
    seconds: float = 0.0

    def verdict(self):
        return "; ".join(f"{kind.upper()}: {what}" for kind, what in self.violations) or "good"


class Table:
    def __init__(self):
        self.rows = []
        os.makedirs(f"{REPO}/build", exist_ok=True)
        self.logs = open(f"{REPO}/build/chaos.log", "w", encoding="utf-8")  # noqa: SIM115

    def add(self, row, log=""):
        self.rows.append(row)
        print(f"{len(self.rows):3d} {row.matrix:4s} {row.method:18s} {row.fault:44s} "
              f"{row.seconds:5.1f} s  {row.ours}: {row.verdict()}", flush=True)
        self.logs.write(f"== {len(self.rows)} {row.method}: {row.fault}: {row.verdict()}\n{log}\n")
        self.logs.flush()
        if row.violations:
            lines = log.splitlines()[-25:]
            print("".join(f"#     {line[:240]}\n" for line in lines), end="", flush=True)

    def count(self, kind):
        return sum(any(k == kind for k, _ in row.violations) for row in self.rows)

    def summary(self):
        counts = ", ".join(f"{self.count(kind)} {kind}" for kind in KINDS)
        return f"chaos: {len(self.rows)} faults, {counts}"

    def good(self):
        return bool(self.rows) and not any(row.violations for row in self.rows)

    def write(self, name, note):
        with open(f"{REPO}/build/{name}", "w", encoding="utf-8") as out:
            out.write(f"{'row':4s} {'method':18s} {'fault':46s} {'seconds':>7s}  "
                      "nova-compute | the agent\n")
            for row in self.rows:
                out.write(f"{row.matrix:4s} {row.method:18s} {row.fault:46s} {row.seconds:7.1f}  "
                          f"{row.nova or '-'} | {row.ours}: {row.verdict()}\n")
            seconds = sum(row.seconds for row in self.rows)
            out.write(f"{note}{seconds:.0f} s, {seconds / max(len(self.rows), 1):.1f} s a fault\n")
            self.write_measured(out)
            out.write(self.summary() + "\n")

    def write_measured(self, out):
        """What nova-compute made of the same kinds of faults, when that was measured (--stock)."""
        path = f"{REPO}/build/chaos-stock.json"
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as results:
            measured = json.load(results)
        out.write("\nmeasured with nova-compute alone, beside ours of the same row\n")
        for matrix, method, fault, outcome in measured:
            alike = [row for row in self.rows if row.matrix == matrix]
            bad = sum(bool(row.violations) for row in alike)
            out.write(f"{matrix:4s} {method:18s} {fault:46s} {outcome} | "
                      f"{len(alike) - bad} good, {bad} bad\n")
        out.write("\n")
