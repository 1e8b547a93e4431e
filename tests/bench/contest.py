# SPDX-License-Identifier: Apache-2.0
"""Builds of one program take turns: seconds of processor time, and whether they compute the same."""

import math
import os
import re
import shlex
import shutil
import subprocess

import harness

ROUND_SECONDS = 0.5
# The least of many turns tells what a program takes when nobody is in its way only if it is no accident: three turns must
# come so close to each other. Where much is divided, for example, most turns wait for what else runs on the same core.
ALIKE = 1.01
# Where they do not, there are more rounds, but no more than this many times as many.
MOST_PATIENCE = 4
# Others on the machine share its caches, but do not take the core away.
IN_FRONT = ["chrt", "-r", "5"] if os.geteuid() == 0 else []


class Contestant:
    """One build; each runs in a folder of its own, a copy of the inputs."""

    def __init__(self, builds, kind, root):
        self.kind = kind
        self.program = builds.program
        self.root = root
        self.folder = builds.folder / f"run-{kind}"
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(builds.inputs, self.folder)
        self.times = []
        self.result = None

    @property
    def seconds(self):
        return min(self.times)

    def is_settled(self):
        least = sorted(self.times)[:3]
        return len(least) == 3 and least[2] <= ALIKE * least[0]

    def words(self, text):
        return [word.replace("{root}", str(self.root)) for word in shlex.split(text)]

    def train(self):
        self._run(self.program.train)

    def turn(self):
        """Runs once; the result must be that of every other turn."""
        output, seconds = self._run(self.program.run)
        result = self.program.result(output)
        if not result or self.result not in (None, result):
            raise harness.TestFailure(f"{self.program.name}, {self.kind}: the result is '{result}', "
                                      f"it was '{self.result}' before; look at {self.folder}")
        self.result = result
        self.times.append(seconds)

    def _run(self, text):
        """(what the command TEXT printed, seconds of processor time that it took)"""
        words = self.words(text)
        with open(self.folder / "stdout", "w+b") as out, open(self.folder / "stderr", "wb") as err:
            process = subprocess.Popen([*IN_FRONT, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       cwd=self.folder)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                raise harness.TestFailure(f"{' '.join(words)} ended with status {process.returncode} in "
                                          f"{self.folder}; see stdout and stderr there")
            out.seek(0)
            return out.read(), used.ru_utime + used.ru_stime


def hold(contestants, rounds):
    """One turn that does not count, in which programs are compiled, then ROUNDS of all, each time another one first, and
    more until all are settled.

    Short programs take several turns a round: the shorter, the likelier that nobody disturbs one of them.
    """
    for contestant in contestants:
        contestant.turn()
    turns = max(1, round(ROUND_SECONDS / min(contestant.seconds for contestant in contestants)))
    for contestant in contestants:
        contestant.times.clear()
    for number in range(rounds * turns * MOST_PATIENCE):
        if number >= rounds * turns and all(contestant.is_settled() for contestant in contestants):
            break
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            contestant.turn()


def difference(one, other):
    """The greatest relative difference of numbers in two results; infinite if anything else differs."""
    ones, others = one.split(), other.split()
    if len(ones) != len(others):
        return math.inf
    return max((_distance(*pair) for pair in zip(ones, others)), default=0)


def _distance(one, other):
    if one == other:
        return 0
    if not (_is_number(one) and _is_number(other)):
        return math.inf
    a, b = float(one), float(other)
    return abs(a - b) / max(abs(a), abs(b), 1e-300)


def _is_number(word):
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?", word) is not None
