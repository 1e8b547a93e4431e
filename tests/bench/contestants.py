# SPDX-License-Identifier: Apache-2.0
"""The same tree in several file systems, and what the daemon of each of them uses."""

import json
import os
import pathlib
import subprocess

import harness

TICKS = os.sysconf("SC_CLK_TCK")


class Contestant:
    """name; root: where the tree is while mounted; pid: of the daemon, if there is one."""

    pid = None
    env = None

    def mount(self):
        pass

    def unmount(self):
        pass

    def abandon(self):
        """Takes away what may be mounted when something has failed."""

    def counts(self):
        return {}


class Unpacked(Contestant):
    """The tree as it is; named after the file system that it lies on."""

    def __init__(self, root):
        kind = _run(["stat", "-f", "-c", "%T", root]).strip()
        self.name = "ext4" if kind == "ext2/ext3" else kind
        self.root = root


class KernelSquashfs(Contestant):
    name = "kernel"

    def __init__(self, image, folder):
        self.root = folder / "mnt-kernel"
        self.root.mkdir(exist_ok=True)
        self._image = image

    def command(self):
        """What mounts it and ends when it is ready."""
        return ["mount", "-t", "squashfs", "-o", "loop,ro", self._image, self.root]

    def mount(self):
        _run(self.command())

    def unmount(self):
        _run(["umount", self.root])

    def abandon(self):
        if os.path.ismount(self.root):
            _run(["umount", "-l", self.root])


class Fuse(Contestant):
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
        options = [word for option in self._options for word in ("-o", option)]
        return [self._program, *options, self._image, self.root]

    def mount(self):
        self._mount = harness.Mount(self._image, self.root, self.env,
                                    self._folder / f"{self.name}.log", self._options,
                                    program=self._program)

    def unmount(self):
        mount, self._mount = self._mount, None
        mount.stop()

    def abandon(self):
        if self._mount is not None:
            self._mount.tear_down()

    @property
    def pid(self):
        return self._mount.pid if self._mount else None


class Xaasfs(Fuse):
    def counts(self):
        """What the mount counted so far: {"read": requests, "blocks.decompressed": blocks, ...}"""
        shown = _run([self._program, "--stats", "--json", self.root], env=self.env)
        stats = json.loads(shown)
        counts = {kind: request["count"] for kind, request in stats["requests"].items()}
        for group in ("blocks", "read_ahead", "bytes"):
            counts.update((f"{group}.{name}", value) for name, value in stats[group].items())
        return counts


class Usage:
    """What a contestant's daemon uses and counts from here on; nothing where there is none."""

    def __init__(self, contestant):
        self._contestant = contestant
        self._counts = contestant.counts()
        self._began = self._times()
        if contestant.pid is not None:
            # Lets the peak start at what is used now.
            pathlib.Path(f"/proc/{contestant.pid}/clear_refs").write_text("5", encoding="ascii")

    def taken(self):
        """({"user": seconds, "system": seconds, "peak": bytes}, {name: count})"""
        if self._contestant.pid is None:
            return {}, {}
        user, system = self._times()
        used = {"user": user - self._began[0], "system": system - self._began[1],
                "peak": self._peak()}
        counts = self._contestant.counts()
        return used, {name: counts[name] - self._counts[name] for name in counts}

    def _peak(self):
        status = pathlib.Path(f"/proc/{self._contestant.pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def _times(self):
        if self._contestant.pid is None:
            return 0, 0
        stat = pathlib.Path(f"/proc/{self._contestant.pid}/stat").read_text(encoding="utf-8")
        # Fields 14 and 15 of all, counted behind the name, which may hold anything.
        fields = stat.rpartition(")")[2].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def mount_in_private():
    """As harness.own_mounts, or not at all."""
    if not harness.own_mounts():
        raise harness.TestFailure("no mount namespace of its own; run as root, in containers with "
                                  "--cap-add SYS_ADMIN")


def drop_caches():
    """Forgets what the kernel keeps of files: pages, entries and inodes."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def _run(command, env=None):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=env)
    if done.returncode != 0:
        raise harness.TestFailure(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout
