# SPDX-License-Identifier: Apache-2.0
"""Timing that survives a busy machine, and tables that say where they come from."""

import datetime
import os
import platform
import time


def interleaved(contestants, rounds):
    """Seconds of the best round of each: {name: function} -> {name: seconds}.

    All contestants run once per round, so a slow minute of the machine hits each of them; and the
    minimum is what the work costs when nothing else is in the way.
    """
    best = {}
    for _ in range(rounds):
        for name, function in contestants.items():
            began = time.perf_counter()
            function()
            took = time.perf_counter() - began
            best[name] = min(took, best.get(name, took))
    return best


def header(title):
    """Prints what was measured, where and when."""
    print(f"\n{title}\n{_cpu()}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release()}, "
          f"{datetime.date.today().isoformat()}\n")


def table(rows):
    """Prints rows of texts: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(widths[i + 1]) for i, cell in enumerate(row[1:])]
        print("  " + "   ".join(cells).rstrip())


def seconds(value):
    """A time with the unit that suits it."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1 or unit == "us":
            return f"{value * factor:.3g} {unit}" if value * factor < 100 else f"{value * factor:.0f} {unit}"


def size(value):
    return f"{value / 1024:.0f} KiB"


def _cpu():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown CPU"
