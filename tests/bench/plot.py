# SPDX-License-Identifier: Apache-2.0
"""build/bench.svg: cast to active of everyone, as a part of what nova-compute needs."""

from statistics import median
from xml.sax.saxutils import escape

from paths import BUILD
from report import TITLES

COLOURS = {"nova-compute": "#8a8f98", "agent/blockrebase": "#7fb3d5", "agent/blockcopy": "#2e86c1",
           "agent/stream": "#1b4f72", "curl": "#d5b27f", "read": "#e6d9bf"}
LABELS = {"curl": "floor: curl -T", "read": "floor: read"}
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 150, 60, 14, 26, 64
STYLE = "<style>text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.small{fill:#666}</style>"


class Plot:
    def __init__(self, results):
        self.results = results
        self.parts = []
        self.y = TOP
        self.rows = {name: self.ratios_of(name) for name in results.runs}
        longest = [max(runs) for rows in self.rows.values() for runs in rows.values()]
        self.limit = min(max([1.1, *longest]), 2.0)

    def ratios_of(self, scenario):
        found = {contender: self.results.ratios((scenario, contender), (scenario, "nova-compute"))
                 for contender in self.results.contenders(scenario)}
        return {contender: runs for contender, runs in found.items() if runs}

    def x(self, ratio):
        return LEFT + min(ratio, self.limit) / self.limit * (WIDTH - LEFT - RIGHT)

    def add(self, kind, text="", **attributes):
        told = "".join(f' {name.rstrip("_").replace("_", "-")}="{value}"'
                       for name, value in attributes.items())
        self.parts.append(f"<{kind}{told}>{escape(text)}</{kind}>")

    def draw(self):
        self.add("text", "Snapshot of a running guest: time until the image is active", x=16, y=24,
                 class_="title")
        self.add("text", "nova-compute = 1; median, and the range of all repetitions", x=16, y=42,
                 class_="small")
        for scenario, rows in self.rows.items():
            self.draw_scenario(scenario, rows)
        x = f"{self.x(1):.1f}"
        self.add("line", x1=x, x2=x, y1=TOP - 8, y2=self.y - GAP + 8, stroke="#8a8f98",
                 stroke_dasharray="3 3")
        return self

    def draw_scenario(self, scenario, rows):
        self.add("text", TITLES[scenario].title, x=16, y=self.y + 11, class_="title")
        self.y += BAR + 6
        for contender in sorted(rows, key=list(COLOURS).index):
            self.draw_bar(contender, rows[contender])
            self.y += BAR + 4
        self.y += GAP - 4

    def draw_bar(self, contender, runs):
        middle, y = median(runs), self.y + BAR / 2
        self.add("text", LABELS.get(contender, contender), x=LEFT - 8, y=self.y + 11,
                 text_anchor="end")
        self.add("rect", x=LEFT, y=self.y, width=f"{self.x(middle) - LEFT:.1f}", height=BAR,
                 fill=COLOURS[contender])
        self.add("line", x1=f"{self.x(min(runs)):.1f}", x2=f"{self.x(max(runs)):.1f}", y1=y, y2=y,
                 stroke="#222")
        self.add("text", f"{middle:.2f}", x=f"{self.x(max(middle, *runs)) + 6:.1f}", y=self.y + 11)

    def svg(self):
        height = self.y - GAP + 20
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                f'viewBox="0 0 {WIDTH} {height}">\n{STYLE}\n'
                f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def write(results):
    with open(f"{BUILD}/bench.svg", "w", encoding="utf-8") as out:
        out.write(Plot(results).draw().svg())
