# SPDX-License-Identifier: Apache-2.0
"""usage: hostile_walk.py FOLDER: does everything that a reader can do to each file in FOLDER, and prints as
JSON what failed: path -> name of the error. A process of its own, so that a mount that hangs is a test
that ends."""

import errno
import json
import os
import stat
import sys

failed = {}


def attempt(path, what):
    try:
        return what()
    except OSError as error:
        failed[os.path.relpath(path, sys.argv[1])] = errno.errorcode[error.errno]
        return None


def read(path):
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > 0:
            os.lseek(file.fileno(), 0, os.SEEK_HOLE)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
        assert len(file.read()) == size, path
        assert len(os.pread(file.fileno(), 100, max(size - 50, 0))) == min(size, 50), path


def look(path):
    st = attempt(path, lambda: os.lstat(path))
    for name in attempt(path, lambda: os.listxattr(path, follow_symlinks=False)) or ():
        attempt(path, lambda: os.getxattr(path, name, follow_symlinks=False))
    if stat.S_ISLNK(st.st_mode):
        attempt(path, lambda: os.readlink(path))
    elif stat.S_ISREG(st.st_mode):
        attempt(path, lambda: read(path))
    elif stat.S_ISDIR(st.st_mode):
        for name in attempt(path, lambda: os.listdir(path)) or ():
            look(os.path.join(path, name))


look(sys.argv[1])
print(json.dumps(failed))
