# SPDX-License-Identifier: Apache-2.0
"""What bench/fs times, one row each, and how fast it shall be."""

import dataclasses

from bench import debian_image

# Enough for a stable minimum where a round is short.
SHORT = 5


@dataclasses.dataclass
class Row:
    """How one kind of work is timed.

    words    root -> arguments of bench-readers
    cold     a fresh mount, and nothing of any file in memory, before each run; else a run that is
             not counted comes before all others
    passes   runs per round
    beside   whether the same blocks are also decompressed by themselves, once a round
    targets  contestant -> most that xaasfs may take of its time
    """

    name: str
    label: str
    words: callable
    cold: bool = False
    passes: int = 1
    beside: bool = False
    targets: dict = dataclasses.field(default_factory=dict)


def _python(root):
    return ["exec", 1, root, "/usr/bin/python3", "-c", "import numpy, scipy.linalg"]


def _big_files(root):
    return [root / name for name in debian_image.BIG_FILES]


ROWS = [
    Row("cold-walk", "cold walk", lambda root: ["walk", root], cold=True,
        targets={"squashfuse": 0.6, "kernel": 1.2}),
    Row("warm-walk", "warm walk", lambda root: ["walk", root], passes=SHORT,
        targets={"kernel": 1.1}),
    Row("warm-read", "warm read of everything", lambda root: ["read", 1, root], passes=SHORT,
        targets={"kernel": 1.1}),
    Row("warm-open", "10,000 warm opens and closes", lambda root: ["open", 10000, root],
        passes=SHORT, targets={"squashfuse": 0.9}),
    Row("cold-read", "cold read of everything", lambda root: ["read", 1, root], cold=True,
        beside=True, targets={"squashfuse": 0.6, "kernel": 0.8}),
    Row("cold-read-4", "the same, four readers", lambda root: ["read", 4, root], cold=True,
        targets={"squashfuse": 0.6, "kernel": 0.7}),
    Row("sequence", "cold big files in sequence", lambda root: ["sequence", *_big_files(root)],
        cold=True),
    Row("random", "2,000 cold random 4 KiB reads",
        lambda root: ["random", 2000, _big_files(root)[0]], cold=True,
        targets={"squashfuse": 0.8}),
    Row("python", "cold import of NumPy, SciPy", _python, cold=True,
        targets={"squashfuse": 0.8}),
    # A thousand in each round, in parts: the minimum of many short runs is what differs by 5 %.
    Row("exec", "100 warm execs of a static program",
        lambda root: ["exec", 100, root, debian_image.PROGRAM], passes=10,
        targets={"ext4": 1.05}),
]

# Until the mount command is done, seconds: without and with the index in the cache.
MOUNT_SECONDS = (0.020, 0.005)
MOUNT_MILLION_SECONDS = (1, 0.005)
# The daemon's user time for the cold read, as a multiple of the bare decompression's.
DECOMPRESSION_RATIO = 1.2
# What the daemon may hold, bytes: blocks, by -o cache_size, and everything else.
DEFAULT_CACHE = 256 << 20
MEMORY_ABOVE_CACHE = 40 << 20
