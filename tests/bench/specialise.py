# SPDX-License-Identifier: Apache-2.0
"""What people do so that a mounted program becomes faster, each in a cache of its own that later calls find."""

import contextlib
import shutil

from bench import builds, contest
import harness

# What mounts do that nobody has tuned for.
USUAL = ["policy=opt=3"]


def prepare(built, kind):
    """Makes the cache of the contestant KIND, unless it is there."""
    if built.cache(kind).exists() or kind not in _STEPS:
        return
    print(f"{kind.removeprefix('mount-')}: {built.program.name} …", flush=True)
    with builds.unfinished(built.cache(kind)) as cache:
        _STEPS[kind](built, cache)


@contextlib.contextmanager
def mounted(built, kind):
    """The contestant KIND; its image is mounted meanwhile."""
    tuned = "tuned" in kind
    with built.mount(kind, built.cache(kind), [] if tuned else USUAL) as mountpoint:
        yield contest.Contestant(built, kind, mountpoint)


def _profile(built, cache):
    """Has the program count what it does while it is trained."""
    environment = built.environment(cache)
    command = [harness.binary("xaas"), "profile"]
    builds.run([*command, "start", built.image, built.program.path], env=environment)
    with built.mount("training", cache) as mountpoint:
        contest.Contestant(built, "training", mountpoint).train()
    builds.run([*command, "finish", built.image], env=environment)


def _tune(built, cache):
    """By all processor time, as is measured: user time alone is an estimate where runs are short."""
    work = contest.Contestant(built, "tuning", "{}")
    builds.run([*contest.IN_FRONT, harness.binary("xaas"), "tune", "--metric", "cpu", built.image,
                built.program.path, "--", *work.words(built.program.train)],
               env=built.environment(cache), cwd=work.folder, log=built.folder / f"{cache.name}.log")


def _tune_with_profile(built, cache):
    prepare(built, "mount-profiled")
    shutil.copytree(built.cache("mount-profiled"), cache, symlinks=True)
    _tune(built, cache)


_STEPS = {"mount-profiled": _profile, "mount-tuned": _tune, "mount-profiled-tuned": _tune_with_profile}
