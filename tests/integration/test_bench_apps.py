# SPDX-License-Identifier: Apache-2.0
"""bench/apps with a small program: that it measures and compares what it says, not how fast anything is."""

import re

import harness
from bench import apps_report, contest, programs

APPS = harness.SOURCE / "tests/bench/apps"


def run(t, *options, expect=0):
    return t.run([APPS, *options], timeout=500, expect=expect, env={"XAASFS_BUILD": str(harness.BUILD)})


def test_a_row_of_the_table(t):
    harness.need_fuse()
    options = ["--programs", "scan", "--rounds", 1, "--folder", t.scratch / "shelf", "--jobs", 1, "--profiled"]
    shown = run(t, *options).stdout
    t.contains(shown, "building scan, captured")
    t.contains(shown, "profiled: scan")
    rows = [re.split(r" {2,}", row) for row in re.findall(r"^ *scan +(.*?) *$", shown, re.MULTILINE)]
    t.equal([len(row) for row in rows], [1 + 4 + 1, 5], f"cells of the rows in:\n{shown}")
    t.equal(rows[0][-1], "equal", "what the builds computed")
    t.contains(shown, "mount / native, geometric mean:")

    again = run(t, *options, "--markdown").stdout
    t.true("building" not in again and "profiled: scan" not in again, f"made again:\n{again}")
    t.contains(again, "| scan | ")


def test_unknown_programs_are_named(t):
    t.contains(run(t, "--programs", "stencli", expect=2).stderr, "there is no program 'stencli'; there are: sqlite3,")


def test_results_that_differ(t):
    t.equal(contest.difference("1 verified", "1 verified"), 0)
    t.equal(contest.difference("2 verified", "1 verified"), 0.5)
    t.equal(contest.difference("-1.5e3 x", "-1500 x"), 0)
    for other in ("1 WRONG", "1", "", "one verified"):
        t.equal(contest.difference("1 verified", other), float("inf"), f"beside '{other}'")


class _Contestant:
    def __init__(self, kind, seconds, result):
        self.kind, self.seconds, self.result = kind, seconds, result


def test_another_result_is_no_row(t):
    program = next(program for program in programs.PROGRAMS if program.name == "stencil")
    kinds = {"generic": (3, "1.5"), "native": (2, "1.5"), "thinlto": (2, "1.5"), "mount": (1, "1.5")}
    row = apps_report.Row(program, [_Contestant(kind, *seen) for kind, seen in kinds.items()])
    t.equal(row.ratio("mount"), 0.5)
    kinds["mount"] = (1, "1.6")
    try:
        apps_report.Row(program, [_Contestant(kind, *seen) for kind, seen in kinds.items()])
    except harness.TestFailure as failure:
        t.contains(str(failure), "stencil, mount: the result is '1.6', the native build's '1.5'")
    else:
        t.true(False, "a wrong result went into the table")


harness.main()
