# SPDX-License-Identifier: Apache-2.0
"""Many processes that use one mount at once, and check every byte that they get.

    with Crowd(t, mnt, contents, programs) as crowd:
        crowd.go_on(seconds)      one after the other is killed and replaced meanwhile
        crowd.may_fail()          from here on errors mean that the mount is gone
        ... take the mount down under them ...
        crowd.end()               tells those who are left to stop, and waits for them

contents: path -> bytes of regular files; programs: path -> what their output begins with. Whoever of
the crowd sees anything wrong says what and ends; then go_on() and end() fail.
"""

import ctypes
import mmap
import os
import pathlib
import random
import signal
import subprocess
import time
import traceback

from .outcome import TestFailure

# More than any single thing that one of them does takes on a machine that is busy with all.
END_SECONDS = 120
KILL_EVERY_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Crowd:
    def __init__(self, t, root, contents, programs, size=64):
        self._t = t
        seed = int(os.environ.get("XAASFS_TEST_SEED", time.time()))
        print(f"XAASFS_TEST_SEED={seed}", flush=True)
        self._rng = random.Random(seed)
        self._root = os.fsencode(root)
        self._contents = [(os.fsencode(path), data) for path, data in contents.items()]
        self._programs = [(os.fsencode(path), output) for path, output in programs.items()]
        self._size = size
        self._complaints = t.scratch / "complaints"
        # What all of them see: whether to end, and whether errors are to be expected.
        self._signs = mmap.mmap(-1, 2)
        self._members = {}

    def __enter__(self):
        for _ in range(self._size):
            self._add()
        return self

    def __exit__(self, *_):
        for pid in self._members:
            os.kill(pid, signal.SIGKILL)
        for pid in self._members:
            self._t.wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, f"the end of {pid}")

    def go_on(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(KILL_EVERY_SECONDS)
            self._collect()
            victim = self._rng.choice(list(self._members))
            os.kill(victim, signal.SIGKILL)
            self._members[victim] = signal.SIGKILL
            self._add()

    def may_fail(self):
        self._signs[1] = 1

    def end(self):
        self._signs[0] = 1
        deadline = time.monotonic() + END_SECONDS
        while self._members:
            self._collect()
            if time.monotonic() > deadline:
                raise TestFailure("these did not end, and where they are in the kernel: "
                                  f"{ {pid: where_in_kernel(pid) for pid in self._members} }")
            time.sleep(0.02)

    def _collect(self):
        for pid in list(self._members):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == 0:
                continue
            killed_by = self._members.pop(pid)
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
            # A page that cannot be read any more is a signal.
            gone = self._signs[1] and number == signal.SIGBUS
            if status != 0 and not gone and not (number and number == killed_by):
                said = self._complaints.read_text() if self._complaints.exists() else ""
                raise TestFailure(f"one of the crowd ended with wait status {status}:\n{said[-1500:]}")
            if not self._signs[0] and gone:
                self._add()

    def _add(self):
        member = random.Random(self._rng.random())
        parent = os.getpid()
        pid = os.fork()
        if pid != 0:
            self._members[pid] = None
            return
        status = 1
        try:
            end_with_parent()
            if os.getppid() == parent:
                self._work(member)
            status = 0
        except BaseException:
            with open(self._complaints, "a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
        finally:
            os._exit(status)

    def _work(self, rng):
        kinds = [self._read, self._map, self._walk, self._run]
        while not self._signs[0]:
            kind, = rng.choices(kinds, weights=[8, 4, 1, 2])
            try:
                kind(rng)
            except (OSError, subprocess.CalledProcessError):
                if not self._signs[1]:
                    raise
                time.sleep(0.01)

    def _read(self, rng):
        path, wanted = rng.choice(self._contents)
        with open(os.path.join(self._root, path), "rb", buffering=0) as file:
            at = rng.choice([0, rng.randrange(len(wanted) + 1)])
            size = rng.choice([999, 4096, 1 << 16, 1 << 20])
            file.seek(at)
            while seen := file.read(size):
                same(path, at, seen, wanted[at:at + len(seen)])
                at += len(seen)
            same(path, "the end", at, len(wanted))
            if rng.random() < 0.5:
                # What the kernel keeps would hide the mount.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _map(self, rng):
        path, wanted = rng.choice(self._contents)
        with open(os.path.join(self._root, path), "rb") as file:
            if not wanted:
                return
            with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
                for _ in range(20):
                    at, size = rng.randrange(len(wanted)), rng.choice([1, 100, 4096, 200000])
                    same(path, at, content[at:at + size], wanted[at:at + size])

    def _walk(self, _):
        def fail(error):
            raise error
        seen = {}
        for folder, _, files in os.walk(self._root, onerror=fail):
            for name in files:
                path = os.path.join(folder, name)
                seen[os.path.relpath(path, self._root)] = os.lstat(path).st_size
        for path, wanted in self._contents:
            if path not in seen:
                raise FileNotFoundError(path)
            same(path, "size", seen[path], len(wanted))

    def _run(self, rng):
        path, wanted = rng.choice(self._programs)
        done = subprocess.run([os.path.join(self._root, path)], stdin=subprocess.DEVNULL,
                              capture_output=True, check=True, preexec_fn=end_with_parent)
        same(path, "output", done.stdout[:len(wanted)], wanted)


def end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def same(path, what, seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{path}: {what}: {seen[:50]!r} …" if isinstance(seen, bytes) else
                             f"{path}: {what}: {seen}, not {wanted}")


def where_in_kernel(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stack").read_text()
    except OSError as error:
        return str(error)
