# SPDX-License-Identifier: Apache-2.0
"""House rules that a machine can check."""

import re

import harness

SOURCES = (".c", ".h", ".cpp", ".hpp", ".py", ".build", ".sh")


def tracked(t):
    """Path -> text of every tracked text file."""
    harness.need_command("git")
    listed = t.run(["git", "-c", f"safe.directory={harness.SOURCE}", "-C", harness.SOURCE,
                    "ls-files", "-z"], expect=None)
    if listed.returncode != 0:
        harness.skip("the sources are not a git checkout")
    files = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = harness.SOURCE / name
        if path.is_file() and not path.is_symlink():
            try:
                files[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    return files


def is_source(name, text):
    return name.endswith(SOURCES) or text.startswith("#!")


def none_of(t, offenders, rule):
    t.true(not offenders, f"{rule}:\n  " + "\n  ".join(offenders))


def test_every_source_names_its_licence(t):
    none_of(t, [name for name, text in tracked(t).items() if is_source(name, text)
                and "SPDX-License-Identifier: Apache-2.0" not in "".join(text.splitlines(True)[:2])],
            "no SPDX line at the top")


def test_files_hold_one_idea(t):
    none_of(t, [f"{name}: {len(text.splitlines())} lines" for name, text in tracked(t).items()
                if is_source(name, text) and len(text.splitlines()) > 600], "over 600 lines")
    none_of(t, [name for name in tracked(t)
                if re.search(r"(^|[/_])(util|utils|misc|common|helpers?)\.\w+$", name)],
            "says nothing of what it holds")


def test_functions_fit_a_screen(t):
    long = []
    for name, text in tracked(t).items():
        if not name.endswith((".c", ".h")):
            continue
        began = None
        for number, line in enumerate(text.splitlines(), 1):
            if line == "{":
                began = number
            elif line == "}" and began is not None:
                if number - began - 1 > 70:
                    long.append(f"{name}:{began}: {number - began - 1} lines")
                began = None
    none_of(t, long, "functions should have about 60 lines, and these have over 70")


def test_nothing_is_left_to_do(t):
    word = re.compile(r"\b(TO" "DO|FIX" "ME|XX" r"X)\b")
    none_of(t, [f"{name}:{number}" for name, text in tracked(t).items() if name != "LICENSE"
                for number, line in enumerate(text.splitlines(), 1) if word.search(line)],
            "left to do")


harness.main()
