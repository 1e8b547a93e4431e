# SPDX-License-Identifier: Apache-2.0
"""A mount namespace of one's own."""

import ctypes
import subprocess

CLONE_NEWNS = 0x00020000


def own_mounts():
    """Mounts from here on are seen by this process and its children only, and end with them.

    A mount is gone only when no namespace has it any more, and whoever makes a namespace gets a copy
    of all mounts there are: two tests at once would keep each other's alive. Says whether it could.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return False
    done = subprocess.run(["mount", "--make-rprivate", "/"], stdin=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0
