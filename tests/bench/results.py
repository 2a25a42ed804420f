# SPDX-License-Identifier: Apache-2.0
"""All measurements of a run, and what is taken from them: medians, and ratios of neighbours."""

from statistics import median


class Results:
    def __init__(self):
        self.runs = {}  # {scenario: {contender: [figures of each repetition]}}

    def add(self, scenario, contender, figures):
        self.runs.setdefault(scenario, {}).setdefault(contender, []).append(figures)

    def values(self, scenario, contender, figure):
        runs = self.runs.get(scenario, {}).get(contender, [])
        return [run[figure] for run in runs if figure in run]

    def median(self, scenario, contender, figure):
        values = self.values(scenario, contender, figure)
        return median(values) if values else None

    def ratios(self, one, other, figure="seconds"):
        """Of two (scenario, contender): repetition by repetition, as the machine is not always alike."""
        pairs = zip(self.values(*one, figure), self.values(*other, figure), strict=False)
        return [a / b for a, b in pairs if b]

    def contenders(self, scenario):
        return list(self.runs.get(scenario, {}))


def worst(candidates):
    """Of several lists of runs the one with the greatest median; [] when one of them is empty."""
    return max(candidates, key=median) if all(candidates) else []
