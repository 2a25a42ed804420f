# SPDX-License-Identifier: Apache-2.0
"""The tables at the end: medians, times only as ratios."""

from statistics import median

from paths import MIB
from scenarios import FULL

TITLES = {scenario.name: scenario for group in FULL for scenario in group}
COLUMNS = ("active", "to curl", "cleared", "cpu", "qemu", "rss", "helpers", "staged", "room", "sent",
           "pause", "write", "longest")
HEAD = """
medians: active, cleared (seconds from the request to the active image, to the end of the task), cpu
(helpers included), qemu (its CPU): nova-compute = 1; to curl: curl = 1; rss, helpers: peak MiB;
staged, room (written; most at a time), sent: bytes for each of data; pause: ms; write, longest: the
guest's own writes, mean and longest: without a snapshot = 1
"""


def print_details(results):
    print(HEAD)
    print(f"{'':34s}" + "".join(f"{name:>9s}" for name in COLUMNS))
    for scenario in results.runs:
        print(TITLES[scenario].title)
        for contender in results.contenders(scenario):
            cells = [cell(value) for value in row(results, scenario, contender)]
            print(f"    {contender:30s}" + "".join(f"{text:>9s}" for text in cells))


def row(results, scenario, contender):
    def ratio(figure, other="nova-compute"):
        runs = results.ratios((scenario, contender), (scenario, other), figure)
        return median(runs) if runs else None

    def of(figure, unit=1):
        value = results.median(scenario, contender, figure)
        return None if value is None else value / unit

    def disturbed(which):
        """Against all that was seen without a snapshot: a few seconds alone tell little."""
        before = every(results, scenario, f"undisturbed_{which}_us")
        return of(f"write_{which}_us", median(before)) if before else None

    data = TITLES[scenario].data
    return [ratio("seconds"), ratio("seconds", "curl"), ratio("seconds_cleared"), ratio("cpu_s"),
            ratio("qemu_cpu_s"), of("rss_mib"), of("helpers_rss_mib"), of("staged_bytes", data),
            of("space_bytes", data), of("sent_bytes", data), of("pause_ms"), disturbed("mean"),
            disturbed("longest")]


def every(results, scenario, figure):
    return [value for contender in results.contenders(scenario)
            for value in results.values(scenario, contender, figure)]


def cell(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 or value == 0 else f"{value:.2f}"


def print_goals(found):
    print(f"\n{'figure':58s}{'value':>9s}{'goal':>8s}{'runs':>6s}  verdict")
    for goal in found:
        value = cell(goal.value) if goal.value is None else f"{goal.value:.3f}"
        print(f"{goal.name:58s}{value:>9s}{'<= ' + format(goal.goal, 'g'):>8s}"
              f"{len(goal.runs):6d}  {goal.verdict()}")
    measured = [goal for goal in found if goal.value is not None]
    print(f"bench: {sum(goal.reached for goal in measured)} of {len(measured)} goals reached, "
          f"{len(found) - len(measured)} not measured")


def progress(scenario, number, contender, figures):
    """One line while it runs; single times are no result."""
    staged = f", {figures['staged_bytes'] / MIB:.0f} MiB staged" if "staged_bytes" in figures else ""
    print(f"# {scenario.title}, {number + 1}: {contender:18s} {figures['seconds']:6.2f} s, "
          f"CPU {figures['cpu_s']:5.2f} s{staged}", flush=True)
