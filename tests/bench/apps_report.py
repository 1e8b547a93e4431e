# SPDX-License-Identifier: Apache-2.0
"""The table of bench/apps: seconds of each build, beside those of the native one, and what was asked."""

import math

from bench import contest, measure
import harness

TITLES = {"generic": "-O3", "native": "-O3 -march=native", "thinlto": "native, ThinLTO",
          "mount": "mount", "mount-tuned": "mount, tuned", "mount-profiled": "mount, profiled"}

# The most that geometric means may be, and any one program.
MEAN_RATIO = {"mount": 0.98, "mount-tuned": 0.93, "mount-profiled": 0.90}
WORST_RATIO = {"mount": 1.03}
# What profiles are judged by: kernels are too small to have a shape.
PROFILED = ("sqlite3", "lua5.4", "zstd", "lammps")


class Row:
    def __init__(self, program, contestants, note=""):
        self.name = program.name
        self.seconds = {contestant.kind: contestant.seconds for contestant in contestants}
        self.note = note
        native = next(contestant.result for contestant in contestants if contestant.kind == "native")
        self.differences = {}
        for contestant in contestants:
            differs = contest.difference(contestant.result, native)
            if differs > program.tolerance:
                raise harness.TestFailure(f"{program.name}, {contestant.kind}: the result is '{contestant.result}', "
                                          f"the native build's '{native}'")
            self.differences[contestant.kind] = differs

    def ratio(self, kind):
        return self.seconds[kind] / self.seconds["native"]

    def digits(self):
        """How results differ from the native build's, relatively."""
        return ", ".join(f"{kind} {self.differences[kind]:.0e}" for kind in self.differences
                         if self.differences[kind]) or "equal"


class Report:
    def __init__(self, kinds):
        self._kinds = kinds
        self._others = [kind for kind in kinds if kind != "native"]
        self._rows = []

    def add(self, row):
        self._rows.append(row)

    def print(self, title, markdown):
        measure.header(title)
        cells = [("program", *(TITLES[kind] for kind in self._kinds),
                  *(f"{TITLES[kind]} / native" for kind in self._others), "digits")]
        cells += [(row.name, *(measure.seconds(row.seconds[kind]) for kind in self._kinds),
                   *(f"{row.ratio(kind):.3f}" for kind in self._others), row.digits()) for row in self._rows]
        cells.append(("geometric mean", *[""] * len(self._kinds),
                      *(f"{_mean(self._rows, kind):.3f}" for kind in self._others), ""))
        (_markdown if markdown else measure.table)(cells)
        for row in self._rows:
            if row.note:
                print(f"\n  {row.name}: {row.note}")
        print()
        for line in self._verdicts():
            print(f"  {line}")

    def _verdicts(self):
        for kind, most in MEAN_RATIO.items():
            if kind in self._kinds:
                rows = [row for row in self._rows if kind != "mount-profiled" or row.name in PROFILED]
                if rows:
                    of_those = f" of {', '.join(row.name for row in rows)}" if len(rows) < len(self._rows) else ""
                    yield (f"{TITLES[kind]} / native, geometric mean{of_those}: "
                           f"{_verdict(_mean(rows, kind), most)}")
        for kind, most in WORST_RATIO.items():
            worst = max(self._rows, key=lambda row: row.ratio(kind))
            yield f"{TITLES[kind]} / native, the worst, {worst.name}: {_verdict(worst.ratio(kind), most)}"


def _mean(rows, kind):
    return math.exp(sum(math.log(row.ratio(kind)) for row in rows) / len(rows))


def _verdict(ratio, most):
    return f"{ratio:.3f}, {'met' if ratio <= most else 'NOT'} <= {most:.2f}"


def _markdown(rows):
    for number, row in enumerate(rows):
        print(f"| {' | '.join(row)} |")
        if number == 0:
            print(f"|{'---|' * len(row)}")
