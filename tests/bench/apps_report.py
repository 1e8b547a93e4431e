# SPDX-License-Identifier: Apache-2.0
"""The table of bench/apps: seconds of each build, beside those of the native one, and what was asked."""

import math

from bench import contest, measure
import harness

TITLES = {"generic": "generic", "native": "native", "thinlto": "ThinLTO", "mount": "mount",
          "mount-tuned": "tuned", "mount-profiled": "profiled", "mount-profiled-tuned": "tuned"}
LEGEND = """generic: clang-19 or flang-19 -O3; native: -O3 -march=native, from source, as all of these; ThinLTO: native, with
-flto=thin and ld.lld; mount: captured at -O3, packed, mounted and compiled on first open; profiled: the same after
xaas profile; tuned: after xaas tune, which tries a profile that there is. Trained and tuned is on other inputs than those
measured."""

# The most that geometric means may be, and any one program.
MEAN_RATIO = {"mount": 0.98, "mount-tuned": 0.93, "mount-profiled-tuned": 0.93, "mount-profiled": 0.90}
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

    def summary(self):
        return f"{self.name}: " + ", ".join(f"{TITLES[kind]} {took * 1e3:.1f} ms" for kind, took in self.seconds.items())

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
        """Times of the native builds and ratios to them; and all times, where there is room."""
        print_table = _markdown if markdown else measure.table
        measure.header(title)
        print(f"{LEGEND}\n")
        names = [TITLES[kind] for kind in self._others]
        print_table([("program", "native", *(f"{name} / native" for name in names), "digits"), *(
            (row.name, measure.seconds(row.seconds["native"]), *(f"{row.ratio(kind):.3f}" for kind in self._others),
             row.digits()) for row in self._rows),
            ("geometric mean", "", *(f"{_mean(self._rows, kind):.3f}" for kind in self._others), "")])
        print()
        if not markdown:
            measure.table([("milliseconds", *(TITLES[kind] for kind in self._kinds)), *(
                (row.name, *(f"{row.seconds[kind] * 1e3:.1f}" for kind in self._kinds)) for row in self._rows)])
            print()
        for line in [*(f"{row.name}: {row.note}" for row in self._rows if row.note), *self._verdicts()]:
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
