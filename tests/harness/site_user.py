# SPDX-License-Identifier: Apache-2.0
"""An ordinary user on a machine as sites have it: /dev/fuse is open to all."""

import os
import pathlib

from .outcome import skip

SITE_USER = 65534

# In a mount namespace of its own, so that nothing of this machine changes.
SITE = """
set -e
mknod {scratch}/fuse c 10 229
chmod 666 {scratch}/fuse
mount --bind {scratch}/fuse /dev/fuse
rm {scratch}/fuse
{more}
exec setpriv --reuid {user} --regid {user} --clear-groups sh -c "$1"
"""


def open_scratch_for_anyone(t):
    for folder in (t.scratch, *t.scratch.parents):
        if folder == pathlib.Path("/tmp") or folder.stat().st_mode & 0o55 == 0o55:
            break
        folder.chmod(0o755)


def as_site_user(t, command, more="", **how):
    """Runs the shell COMMAND as that user, in t.scratch; MORE is done before, as root. Any exit
    status will do."""
    open_scratch_for_anyone(t)
    script = SITE.format(scratch=t.scratch, user=SITE_USER, more=more)
    return t.run(["unshare", "-m", "sh", "-c", script, "sh", command],
                 **{"expect": None, "timeout": 60, **how})


def folder_of_site_user(t, name):
    folder = t.scratch / name
    folder.mkdir()
    os.chown(folder, SITE_USER, SITE_USER)
    return folder


def need_user_namespaces(t):
    """For tests of `unshare -Urm`."""
    if as_site_user(t, "unshare -Urm true").returncode != 0:
        skip("this kernel gives ordinary users no user namespaces; allow them with: "
             "sysctl kernel.unprivileged_userns_clone=1")
