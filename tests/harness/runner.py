# SPDX-License-Identifier: Apache-2.0
"""Runs the test_* functions of the main file, each with a scratch folder of its own."""

import inspect
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from .binaries import binary
from .mount import Mount, end_mounts_below
from .namespace import own_mounts
from .outcome import Skipped, TestFailure
from .rootfs import RootFs


class Test:
    """What one test function works with; see the package's own text."""

    def __init__(self, name):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix=f"xaasfs-{name[:40]}-"))
        self.cache = self.scratch / "cache" / "xaasfs"
        self.env = {**os.environ, "XDG_CACHE_HOME": str(self.scratch / "cache"),
                    "XAASFS_CACHE": str(self.cache), "HOME": str(self.scratch), "LC_ALL": "C.UTF-8"}
        self._started = []
        self.mounts = []

    def run(self, command, expect=0, timeout=120, env=None, cwd=None, stdin=None, binary=False):
        """Runs COMMAND (a list) to its end; the result has .returncode, .stdout and .stderr.

        EXPECT is the exit status that must come out, or None if any will do. TIMEOUT in seconds.
        """
        command = [str(word) for word in command]
        done = subprocess.run(
            command, stdin=None if stdin is not None else subprocess.DEVNULL, input=stdin,
            capture_output=True, timeout=timeout, env={**self.env, **(env or {})},
            cwd=cwd or self.scratch, text=not binary,
            **({} if binary else {"errors": "replace"}))
        if expect is not None and done.returncode != expect:
            raise TestFailure(
                f"{' '.join(command)}\nended with status {done.returncode}, expected {expect}\n"
                f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def start(self, command, env=None, cwd=None, **how):
        """Starts COMMAND in the background and returns its subprocess.Popen."""
        process = subprocess.Popen(
            [str(word) for word in command], env={**self.env, **(env or {})},
            cwd=cwd or self.scratch, **{"stdin": subprocess.DEVNULL, **how})
        self._started.append(process)
        return process

    def xaasfs(self, *arguments, **how):
        """Runs `xaasfs ARGUMENTS` to its end: until the mount serves, or is refused."""
        return self.run([binary("xaasfs"), *arguments], **{"expect": None, "timeout": 60, **how})

    def stats(self, path):
        """What the mount at PATH has counted so far."""
        return json.loads(self.run([binary("xaasfs"), "--stats", "--json", path]).stdout)

    def wait_until(self, condition, what):
        """Waits for CONDITION(), however long that takes on this machine, but not for ever."""
        deadline = time.monotonic() + 100
        while not condition():
            self.true(time.monotonic() < deadline, f"{what} did not happen")
            time.sleep(0.02)

    def mount(self, image, options=(), arguments=(), mountpoint=None, env=None):
        number = len(self.mounts)
        mount = Mount(image, mountpoint or self.scratch / f"mnt{number}", {**self.env, **(env or {})},
                      self.scratch / f"mount{number}.log", options, arguments)
        self.mounts.append(mount)
        return mount

    def squashfs(self, tree, name="image.sqfs", mksquashfs_options=("-comp", "zstd")):
        """An image with TREE: path -> bytes, or str for the target of a symbolic link."""
        root = self.scratch / f"{name}.tree"
        for path, content in tree.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                target.symlink_to(content)
            else:
                target.write_bytes(content)
        image = self.scratch / name
        self.run(["mksquashfs", root, image, "-noappend", "-quiet", "-no-progress",
                  *mksquashfs_options])
        return image

    def rootfs(self, name="rootfs"):
        return RootFs(self.scratch / name)

    def equal(self, seen, wanted, what="value"):
        if seen != wanted:
            raise TestFailure(f"{what}: seen {_short(seen)}, wanted {_short(wanted)}")

    def true(self, condition, what):
        if not condition:
            raise TestFailure(what)

    def contains(self, text, part):
        if part not in text:
            raise TestFailure(f"{part!r} is not in:\n{text}")

    def end_what_runs(self):
        """Kills processes and takes down mounts that the test left; leaving them is no failure."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait(30)
        for mount in self.mounts:
            mount.tear_down()
        end_mounts_below(self.scratch)


def _short(value):
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} … {text[-150:]} ({len(value)} long)"


def _outcome(name, function, keep):
    """Runs one function; "pass", "fail" or "skip". The lines printed here are counted by tools/check."""
    began = time.monotonic()
    test = Test(name)
    outcome = "fail"
    line = f"fail {name} (scratch folder kept: {test.scratch})"
    try:
        if inspect.signature(function).parameters:
            function(test)
        else:
            function()
        outcome, line = "pass", f"pass {name} ({time.monotonic() - began:.1f} s)"
    except Skipped as reason:
        outcome, line = "skip", f"skip {name}: {reason}"
    except Exception as error:
        _explain(error, test)
    finally:
        test.end_what_runs()
    if outcome != "fail" and not keep:
        shutil.rmtree(test.scratch, ignore_errors=True)
    print(line, flush=True)
    return outcome


def _explain(error, test):
    if isinstance(error, TestFailure):
        place = traceback.extract_tb(error.__traceback__)
        caller = [frame for frame in place if "harness" not in frame.filename]
        where = f"{caller[-1].filename}:{caller[-1].lineno}: " if caller else ""
        print(f"{where}{error}", flush=True)
    else:
        traceback.print_exception(error, file=sys.stdout)
    for mount in test.mounts:
        print(f"log of the mount at {mount.path}:\n{mount.log[-4000:]}", flush=True)


def main():
    """Runs the functions named on the command line, or all, in the order of the file."""
    # meson ends a test that takes too long with SIGTERM; unwinding takes its mounts down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    # Users cannot, and need not: it is root's tests that make namespaces.
    own_mounts()
    names = [word for word in sys.argv[1:] if word != "--keep"]
    keep = "--keep" in sys.argv[1:]
    defined = {name: value for name, value in vars(sys.modules["__main__"]).items()
               if name.startswith("test_") and callable(value)}
    unknown = [name for name in names if name not in defined]
    if unknown:
        sys.exit(f"no such test: {', '.join(unknown)}; there are: {', '.join(defined)}")
    outcomes = [_outcome(name, defined[name], keep) for name in names or defined]
    if "fail" in outcomes or not outcomes:
        sys.exit(1)
    sys.exit(77 if all(outcome == "skip" for outcome in outcomes) else 0)
