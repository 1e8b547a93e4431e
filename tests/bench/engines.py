# SPDX-License-Identifier: Apache-2.0
"""How each container engine runs a command on a root file system that is mounted already."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess

CAP_SYS_RESOURCE = 24


class EngineMissing(Exception):
    """The engine cannot be used here; the text says why and what to do."""


def engine(name, scratch):
    """A function (root, command) -> the list of words that runs COMMAND on ROOT with engine NAME."""
    commands = {"bwrap": _bwrap, "podman": _podman, "ch-run": _ch_run,
                "apptainer": _apptainer, "runc": _runc}
    if name not in commands:
        raise EngineMissing(f"unknown engine '{name}'; there are: {', '.join(commands)}")
    if not shutil.which(name):
        cures = {"bwrap": "install the package bubblewrap",
                 "ch-run": "install the package charliecloud-runtime",
                 "apptainer": "Debian 12 has no package, apptainer.org has one"}
        cure = cures.get(name, f"install the package {name}")
        raise EngineMissing(f"the engine {name} is not installed; {cure}, or choose another with --engine")
    return commands[name](pathlib.Path(scratch))


def _has_capability(number):
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(line for line in status if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & (1 << number))


def _bwrap(_scratch):
    return lambda root, command: [
        "bwrap", "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/tmp", "--unshare-all", "--die-with-parent", *command]


def _ch_run(_scratch):
    # ch-run looks its caller up by name, which not every environment has.
    user = [] if os.environ.get("USER") else ["env", f"USER={pwd.getpwuid(os.geteuid()).pw_name}"]
    return lambda root, command: [*user, "ch-run", str(root), "--", *command]


def _podman(_scratch):
    words = ["podman"]
    # crun refuses hosts with hybrid control groups; runc does not mind.
    if shutil.which("runc"):
        words += ["--runtime", "runc"]
    words += ["run", "--rm", "--network=none"]
    if os.geteuid() == 0 and not _has_capability(CAP_SYS_RESOURCE):
        words += ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=32768:32768"]
    # An overlay above the mount: podman writes files of its own into the root.
    return lambda root, command: [*words, "--rootfs", f"{root}:O", *command]


def _apptainer(_scratch):
    words = ["apptainer", "-s", "exec"]
    if os.geteuid() == 0 and not _has_capability(CAP_SYS_RESOURCE):
        words += ["--drop-caps", "CAP_SYS_RESOURCE"]
    return lambda root, command: [*words, str(root), *command]


def _runc(scratch):
    state = scratch / "runc"

    def words(root, command):
        bundle = scratch / "bundle"
        shutil.rmtree(bundle, ignore_errors=True)
        bundle.mkdir(parents=True)
        rootless = [] if os.geteuid() == 0 else ["--rootless"]
        subprocess.run(["runc", "spec", *rootless], cwd=bundle, check=True)
        config = json.loads((bundle / "config.json").read_text())
        config["root"] = {"path": str(root), "readonly": True}
        config["process"]["args"] = [str(word) for word in command]
        config["process"]["terminal"] = False
        (bundle / "config.json").write_text(json.dumps(config))
        return ["runc", "--root", str(state), "run", "--bundle", str(bundle), f"xaasfs-{os.getpid()}"]

    return words
