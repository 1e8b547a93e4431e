# SPDX-License-Identifier: Apache-2.0
"""The tables of bench/fs: times and what they shall be, and what does not drift."""

import re
import subprocess

from bench import fs_rows, measure

MIB = 1 << 20

# Title of a column, and the counts that it adds up.
COUNTS = [
    ("lookup", ["lookup"]),
    ("getattr", ["getattr"]),
    ("readdir", ["readdir", "readdirplus"]),
    ("open", ["open", "opendir", "release"]),
    ("read", ["read"]),
    ("blocks", ["blocks.decompressed"]),
    ("twice", ["blocks.decompressed_again"]),
    ("ahead", ["read_ahead.decompressed"]),
    ("used", ["read_ahead.used"]),
    ("decompressed", ["bytes.decompressed"]),
    ("copied", ["bytes.replied"]),
]


def verdict(ratio, most, name=""):
    return f"{'met' if ratio <= most else 'NOT'} <= {most:g} x {name}".rstrip()


class Report:
    def __init__(self, names):
        others = names[:-1]
        self._names = names
        self._daemons = [name for name in names if name in ("squashfuse", "newer", "xaasfs")]
        self._times = [("", *names, *(f"/ {name}" for name in others), "target")]
        self._work = [("", *names, *(f"/ {name}" for name in others))]
        self._costs = [("", *(f"{name} {what}" for name in self._daemons
                              for what in ("user", "sys", "MiB")))]
        self._counts = [("", *(title for title, _ in COUNTS))]
        self._notes = []
        self._peak = 0

    def add(self, row, results):
        times = {name: results[name].time for name in self._names}
        ratios = {name: times["xaasfs"] / time for name, time in times.items() if name != "xaasfs"}
        targets = [verdict(ratios[name], most, name) for name, most in row.targets.items()
                   if name in ratios]
        self._times.append((row.label, *map(measure.seconds, times.values()),
                            *(f"{ratio:.2f}" for ratio in ratios.values()), ", ".join(targets)))
        work = {name: results[name].reader + results[name].daemon for name in self._names}
        self._work.append((row.label, *map(measure.seconds, work.values()),
                           *(f"{work['xaasfs'] / time:.2f}" for name, time in work.items()
                             if name != "xaasfs")))
        costs = [results[name] for name in self._daemons]
        self._costs.append((row.label, *(cell for cost in costs for cell in (
            f"{cost.user:.2f}", f"{cost.system:.2f}", f"{cost.peak / MIB:.0f}"))))
        ours = results["xaasfs"]
        self._peak = max(self._peak, ours.peak)
        self._counts.append((row.label, *(_count(title, names, ours.counts)
                                          for title, names in COUNTS)))

    def add_mounts(self, label, results, first_target, next_target):
        for turn, when, most in ((0, "first", first_target), (1, "again", next_target)):
            times = [results[name][turn] if name in results else None for name in self._names]
            met = "met" if times[-1] <= most else "NOT"
            self._times.append((f"{label}, {when}",
                                *("" if time is None else measure.seconds(time) for time in times),
                                *[""] * (len(self._names) - 1),
                                f"{met} <= {measure.seconds(most)}"))

    def add_decompression(self, result, user, blocks, size):
        """What the cold read takes of the processor, beside what nobody can do without: USER
        nanoseconds."""
        user /= 1e9
        ratio = result.user / user
        self._notes.append(
            f"Bare decompression of all {blocks} blocks, {size / MIB:.0f} MiB: {user:.2f} s user; "
            f"the cold read takes {ratio:.2f} x that, {verdict(ratio, fs_rows.DECOMPRESSION_RATIO)}")

    def print(self):
        measure.table(self._times)
        if len(self._costs) == 1:
            return
        print("\n  Processor time, of the reader and the daemon (without the kernel's own threads)\n")
        measure.table(self._work)
        print("\n  The daemons: seconds of processor time, and memory at most\n")
        measure.table(self._costs)
        print("\n  What xaasfs was asked and did: requests, blocks, MiB\n")
        measure.table(self._counts)
        for note in self._notes:
            print(f"\n  {note}")
        bound = fs_rows.DEFAULT_CACHE + fs_rows.MEMORY_ABOVE_CACHE
        print(f"\n  Memory at most {self._peak / MIB:.0f} MiB, "
              f"{'met' if self._peak <= bound else 'NOT'} <= {bound / MIB:.0f} MiB with the default cache")


def _count(title, names, counts):
    total = sum(counts.get(name, 0) for name in names)
    return f"{total / MIB:.0f}" if names[0].startswith("bytes.") else str(total)


def kernel_configuration():
    """How the kernel's squashfs was built, as far as it tells."""
    done = subprocess.run("zcat /proc/config.gz || cat /boot/config-$(uname -r)", shell=True,
                          capture_output=True, text=True)
    found = re.findall(r"^CONFIG_SQUASHFS_(DECOMP_\w+|FILE_DIRECT|FILE_CACHE|FRAGMENT_CACHE_SIZE)="
                       r"(\w+)$", done.stdout, re.MULTILINE)
    return ", ".join(name if value == "y" else f"{name} {value}" for name, value in found) or "not told"
