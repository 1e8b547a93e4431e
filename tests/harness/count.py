# SPDX-License-Identifier: Apache-2.0
"""usage: count.py TESTLOG.json... : names each skip and counts what meson's test runs did.

A Python test file counts once per function, as its runner printed it; any other program once. Last
line: `N passed, N failed, N skipped`. Exit status 1 if something failed or nothing passed.
"""

import json
import pathlib
import re
import sys

_FUNCTION = re.compile(r"^(pass|fail|skip) (test_\w+)(.*)$", re.MULTILINE)


def last_line(entry):
    text = (entry.get("stdout") or "") + (entry.get("stderr") or "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was printed"


def outcomes(entry):
    """(outcome, name, detail) of everything that one entry of the log stands for."""
    name = entry["name"].rpartition(" / ")[2]
    result = {"OK": "pass", "SKIP": "skip"}.get(entry["result"], "fail")
    functions = [(outcome, f"{name}: {function}", detail.lstrip(": "))
                 for outcome, function, detail in _FUNCTION.findall(entry.get("stdout") or "")]
    if not functions:
        return [(result, name, entry["result"] if result == "fail" else last_line(entry))]
    # A file that timed out or crashed has failed, whatever its functions said before.
    if result == "fail" and not any(outcome == "fail" for outcome, _, _ in functions):
        functions.append(("fail", name, entry["result"]))
    return functions


def main(paths):
    counts = {"pass": 0, "fail": 0, "skip": 0}
    for path in map(pathlib.Path, paths):
        run = path.parent.parent.name
        if not path.exists():
            print(f"failed ({run}): meson wrote no test log")
            counts["fail"] += 1
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            for outcome, name, detail in outcomes(json.loads(line)):
                counts[outcome] += 1
                if outcome == "skip":
                    print(f"skipped ({run}): {name}: {detail}")
                elif outcome == "fail":
                    print(f"failed ({run}): {name} {detail}")
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return 0 if counts["pass"] and not counts["fail"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
