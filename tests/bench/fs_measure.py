# SPDX-License-Identifier: Apache-2.0
"""How bench/fs measures: contestants take turns, and of many rounds the least counts."""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import time

from bench import contestants, debian_image
import harness


@dataclasses.dataclass
class Result:
    """Of all rounds: least times (seconds), most memory (bytes); the counts of the fastest one, which
    nobody else on this machine disturbed, by emptying caches for one."""

    time: float = float("inf")
    reader: float = float("inf")
    user: float = float("inf")
    system: float = float("inf")
    peak: int = 0
    counts: dict = dataclasses.field(default_factory=dict)

    @property
    def daemon(self):
        return self.user + self.system if self.peak else 0

    def add(self, took, reader, used, counts):
        self.reader = min(self.reader, reader)
        if took < self.time:
            self.time = took
            self.counts = counts
        if used:
            self.user = min(self.user, used["user"])
            self.system = min(self.system, used["system"])
            self.peak = max(self.peak, used["peak"])


class Bench:
    """All contestants over one tree, and a folder for their mount points that close() removes."""

    def __init__(self, folder, rounds, squashfuse=None, options=""):
        self.rounds = rounds
        root, self.image = debian_image.provide(folder)
        self._shelf = folder
        self._folder = folder / f"run-{os.getpid()}"
        self._folder.mkdir()
        self._squashfuse = squashfuse
        self._options = [options] if options else []
        self.contestants = [contestants.Unpacked(root), *self.mounts(self.image)]
        self.names = [contestant.name for contestant in self.contestants]
        # (nanoseconds of user time, blocks, bytes) of decompressing every block of the image once.
        self.decompressions = []

    def mounts(self, image):
        """Everybody who can mount IMAGE; xaasfs last."""
        cache = {"XAASFS_CACHE": str(self._cache)}
        all_of_them = [contestants.KernelSquashfs(image, self._folder),
                       contestants.Fuse("squashfuse", _need("squashfuse_ll"), image, self._folder)]
        if self._squashfuse:
            all_of_them.append(contestants.Fuse("newer", self._squashfuse, image, self._folder))
        all_of_them.append(contestants.Xaasfs("xaasfs", harness.binary("xaasfs"), image,
                                              self._folder, self._options, cache))
        return all_of_them

    def close(self):
        for contestant in self.contestants:
            contestant.abandon()
        shutil.rmtree(self._folder)

    def measure(self, row):
        """{name: Result} of all its rounds."""
        results = {name: Result() for name in self.names}
        if not row.cold:
            for contestant in self.contestants:
                contestant.mount()
                timed(row.words(contestant.root))
        for contestant in self._turns(self.rounds * row.passes):
            if row.cold:
                contestant.mount()
                contestants.drop_caches()
            usage = contestants.Usage(contestant)
            took = timed(row.words(contestant.root))
            results[contestant.name].add(*took, *usage.taken())
            if row.cold:
                contestant.unmount()
            if row.beside and contestant is self.contestants[-1]:
                self._decompress()
        if not row.cold:
            for contestant in self.contestants:
                contestant.unmount()
        return results

    def measure_mounts(self, image):
        """{name: (seconds of the first mount, of the next)}, until the command that mounts ends.

        What the image says of its files is in memory already; the first mount of xaasfs finds
        nothing about the image in its cache.
        """
        least = {}
        for turn in range(self.rounds + 1):
            for contestant in self.mounts(image):
                contestant.root.mkdir(exist_ok=True)
                shutil.rmtree(self._cache, ignore_errors=True)
                took = _seconds_to_mount(contestant), _seconds_to_mount(contestant)
                # The first turn only brings the image into memory.
                if turn > 0:
                    least[contestant.name] = tuple(map(min, took, least.get(contestant.name, took)))
        return least

    def million_files(self):
        return debian_image.provide_million(self._shelf)

    def _decompress(self):
        done = subprocess.run([str(harness.binary("bench-decompress")), str(self.image)],
                              capture_output=True, text=True, check=True)
        user, _, blocks, size = map(int, done.stdout.split())
        self.decompressions.append((user, blocks, size))

    @property
    def _cache(self):
        return self._folder / "cache"

    def _turns(self, rounds):
        """Every contestant once a round, another one first each time."""
        for number in range(rounds):
            first = number % len(self.contestants)
            yield from self.contestants[first:] + self.contestants[:first]


def timed(words):
    """(seconds, seconds of processor time) that bench-readers says it took."""
    command = [str(word) for word in [harness.binary("bench-readers"), *words]]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"})
    if done.returncode != 0:
        raise harness.TestFailure(f"{' '.join(command)}: {done.stderr.strip()}")
    return tuple(int(word) / 1e9 for word in done.stdout.split()[:2])


def _seconds_to_mount(contestant):
    command = [str(word) for word in contestant.command()]
    began = time.perf_counter()
    # Who becomes a daemon would keep a pipe of ours open.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, env=contestant.env, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise harness.TestFailure(f"{' '.join(command)} ended with status {done.returncode}")
    subprocess.run(["umount", str(contestant.root)], check=True)
    _wait_for_daemon(contestant.root)
    return took


def _wait_for_daemon(mountpoint):
    """Until then it would be in the way of the next mount, and what it keeps for that is not there."""
    while any(_has_argument(path, mountpoint) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")):
        time.sleep(0.05)


def _has_argument(path, word):
    try:
        return os.fsencode(str(word)) in path.read_bytes().split(b"\0")
    except OSError:
        return False


def _need(name):
    return shutil.which(name) or harness.skip(f"{name} is not installed; tools/setup installs it")
