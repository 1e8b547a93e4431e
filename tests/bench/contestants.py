# SPDX-License-Identifier: Apache-2.0
"""The same tree in several file systems, and what the daemon of each of them uses."""

import os
import pathlib
import subprocess

import harness

TICKS = os.sysconf("SC_CLK_TCK")


class Unpacked:
    """The tree as it is; named after the file system that it lies on."""

    pid = None

    def __init__(self, root):
        kind = _run(["stat", "-f", "-c", "%T", root]).strip()
        self.name = "ext4" if kind == "ext2/ext3" else kind
        self.root = root

    def mount(self):
        pass

    def unmount(self):
        pass


class KernelSquashfs:
    name = "kernel"
    pid = None

    def __init__(self, image, folder):
        self.root = folder / "mnt-kernel"
        self.root.mkdir(exist_ok=True)
        self._image = image
        self._mounted = False

    def command(self):
        return ["mount", "-t", "squashfs", "-o", "loop,ro", self._image, self.root]

    def mount(self):
        _run(self.command())
        self._mounted = True

    def unmount(self):
        if self._mounted:
            _run(["umount", self.root])
            self._mounted = False


class Fuse:
    """A daemon that takes `-f [-o OPTIONS] IMAGE MOUNTPOINT`."""

    def __init__(self, name, program, image, folder, options=(), env=None):
        self.name = name
        self.root = folder / f"mnt-{name}"
        self._folder = folder
        self._program = program
        self._image = image
        self._options = options
        self.env = {**os.environ, **(env or {})}
        self._mount = None

    def command(self):
        """What mounts it and ends when it is ready."""
        options = [word for option in self._options for word in ("-o", option)]
        return [self._program, *options, self._image, self.root]

    def mount(self):
        self._mount = harness.Mount(self._image, self.root, self.env,
                                    self._folder / f"{self.name}.log", self._options,
                                    program=self._program)

    def unmount(self):
        if self._mount is not None:
            self._mount.stop()
            self._mount = None

    @property
    def pid(self):
        return self._mount.pid


class Usage:
    """What a contestant's daemon uses from here on; nothing where there is none."""

    def __init__(self, contestant):
        self._pid = contestant.pid
        if self._pid is not None:
            self._began = self._times()
            # Lets the peak start at what is used now.
            pathlib.Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")

    def taken(self):
        """{"user": seconds, "system": seconds, "peak": bytes}"""
        if self._pid is None:
            return {}
        user, system = self._times()
        status = pathlib.Path(f"/proc/{self._pid}/status").read_text(encoding="utf-8")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return {"user": user - self._began[0], "system": system - self._began[1],
                "peak": int(peak.split()[1]) * 1024}

    def _times(self):
        stat = pathlib.Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8")
        # Field 14 and 15 of all, counted behind the name, which may hold anything.
        fields = stat.rpartition(")")[2].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def drop_caches():
    """Forgets what the kernel keeps of files: pages, entries and inodes."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def _run(command):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise harness.TestFailure(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout
