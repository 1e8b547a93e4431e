# SPDX-License-Identifier: Apache-2.0
"""One xaasfs mount in a child process, taken down whatever happens.

A FUSE server that hangs takes everyone with it who touches its mount point. So nothing here waits
without a limit, and a mount that does not go away when asked is detached, its connection aborted
through fusectl, and its process killed: by its own process id, never by name.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from .binaries import binary, need_fuse
from .outcome import TestFailure

# Starting includes indexing an image in a sanitized build on a busy machine.
READY_SECONDS = 60
STOP_SECONDS = 30


class Mount:
    """Starts `xaasfs -f [-o OPTIONS] IMAGE MOUNTPOINT`; as a context manager yields the mount point.

    program   what to start instead of xaasfs, if it takes the same arguments
    pid       process id of the mount
    ended     whether that process has ended
    log       everything that it wrote to stderr so far
    kill()    kill -9, for tests of exactly that; the mount point is cleaned up as usual
    wait()    the exit status of a mount that ends by itself
    stop()    unmounts and expects a clean exit; leaving the `with` block does this, and
              tear_down() instead if an exception is on its way
    """

    def __init__(self, image, mountpoint, env, log_path, options=(), arguments=(),
                 program=None):
        need_fuse()
        self.path = pathlib.Path(mountpoint)
        self.path.mkdir(parents=True, exist_ok=True)
        self._log_path = pathlib.Path(log_path)
        command = [str(program or binary("xaasfs")), "-f"]
        for option in options:
            command += ["-o", option]
        command += [*map(str, arguments), str(image), str(self.path)]
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self._connection = None
        self._killed = False
        try:
            self._wait_until_mounted(command)
        except BaseException:
            self.tear_down()
            raise

    @property
    def pid(self):
        return self._process.pid

    @property
    def ended(self):
        return self._process.poll() is not None

    @property
    def log(self):
        return self._log_path.read_text(errors="replace")

    def __enter__(self):
        return self.path

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            self.tear_down()

    def kill(self):
        self._killed = True
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def wait(self):
        return self._process.wait(STOP_SECONDS)

    def stop(self):
        if self._killed:
            self.tear_down()
            return
        try:
            self._unmount()
            status = self._process.wait(STOP_SECONDS)
        except (TestFailure, subprocess.TimeoutExpired) as error:
            self.tear_down()
            raise TestFailure(f"the mount did not end: {error}\nits log:\n{self.log}") from None
        if status != 0:
            raise TestFailure(f"the mount ended with status {status}; its log:\n{self.log}")

    def _wait_until_mounted(self, command):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            self._connection = _fuse_connection(self.path)
            if self._connection is not None:
                return
            status = self._process.poll()
            if status is not None:
                raise TestFailure(
                    f"{' '.join(command)}\nended with status {status} before it mounted:\n{self.log}")
            time.sleep(0.01)
        raise TestFailure(f"not mounted after {READY_SECONDS} s; its log:\n{self.log}")

    def _unmount(self):
        command = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
        # Someone who just let go of a file may still be on the way out of the kernel.
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            done = subprocess.run(
                [*command, str(self.path)], capture_output=True, text=True, timeout=STOP_SECONDS)
            if done.returncode == 0:
                return
            if time.monotonic() > deadline or "busy" not in done.stderr:
                raise TestFailure(done.stderr.strip())
            time.sleep(0.1)

    def tear_down(self):
        """Ends the mount without asking; does nothing if it is gone already."""
        if self._connection is None:
            self._connection = _fuse_connection(self.path)
        if self._connection is not None:
            abort = pathlib.Path(f"/sys/fs/fuse/connections/{self._connection}/abort")
            try:
                abort.write_text("1")
            except OSError:
                pass
        detach = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
        if _fuse_connection(self.path) is not None:
            subprocess.run([*detach, str(self.path)], capture_output=True, timeout=STOP_SECONDS)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


def _fuse_connection(path):
    """The number of the FUSE connection that is mounted on path, or None."""
    wanted = str(path.absolute())
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields, _, rest = line.partition(" - ")
            words = fields.split()
            if words[4] == wanted and rest.startswith("fuse"):
                return int(words[2].partition(":")[2])
    return None


def processes_of(image):
    """Process ids of mounts of IMAGE and of what they forked: all have it in their command line."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(image).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def end_mounts_below(folder):
    """Takes away what is still mounted below FOLDER; those in the background end with that."""
    detach = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-uz"]
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        paths = [line.split()[4] for line in mounts]
    for path in reversed(paths):
        if path.startswith(f"{folder}/"):
            subprocess.run([*detach, path], capture_output=True, timeout=STOP_SECONDS)


@contextlib.contextmanager
def overlay(t, lower):
    """An overlay above the folder LOWER, in t.scratch; for root."""
    merged, upper, work = (t.scratch / f"overlay-{name}" for name in ("merged", "upper", "work"))
    for folder in (merged, upper, work):
        folder.mkdir()
    t.run(["mount", "-t", "overlay", "overlay", "-o",
           f"lowerdir={lower},upperdir={upper},workdir={work}", merged])
    try:
        yield merged
    finally:
        t.run(["umount", "-l", merged])
