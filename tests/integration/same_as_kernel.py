# SPDX-License-Identifier: Apache-2.0
"""Compares everything in our mount of an image with the kernel's own mount of it."""

import os
import pathlib

import harness

from harness.observe import seek_places


def is_one_extent(theirs):
    """Whether this kernel (before 6.17) takes a sparse file for data from its start to its end."""
    size = theirs["st_size"]
    places = seek_places(size)
    return theirs["seek"] == ([place if place < size else "ENXIO" for place in places] +
                              [size if place < size else "ENXIO" for place in places])


def listed(seen):
    return [entry for entry in seen["listing"] if entry[0] != b".."]


# field of harness.observe: why it may differ, and when (path, all seen here, all seen there) is
# such a case.
ACCEPTED = {
    "st_blksize": ("the kernel says how its loop device is divided, which helps nobody",
                   lambda path, ours, theirs: ours["st_blksize"] == 4096),
    "st_blocks": ("the kernel counts extended attributes, too",
                  lambda path, ours, theirs: theirs["listxattr"] and
                  ours["st_blocks"] < theirs["st_blocks"]),
    "listing": ("the kernel invents an inode number for what is above the root",
                lambda path, ours, theirs: path == b"" and listed(ours) == listed(theirs)),
    "listxattr": ("where an image has none at all, ours refuses so that it is not asked again",
                  lambda path, ours, theirs: (ours["listxattr"], theirs["listxattr"]) ==
                  ("ENOTSUP", [])),
    "user.none": ("the same", lambda path, ours, theirs: "ENOTSUP" in
                  (ours["listxattr"], theirs["listxattr"]) and
                  ours["user.none"] in ("ENOTSUP", "ENODATA")),
    "seek": ("not every kernel knows holes", lambda path, ours, theirs: is_one_extent(theirs)),
}


def check(t, mnt, kernel):
    wrong = [(path, field, ours.get(field), theirs.get(field))
             for path, field, ours, theirs in harness.differences(mnt, kernel)
             if field not in ACCEPTED or not ACCEPTED[field][1](path, ours, theirs)]
    t.true(not wrong, f"{len(wrong)} differences (path: field: here, in the kernel's mount):"
           + "".join(f"\n{path}: {field}: {str(ours)[:300]}, {str(theirs)[:300]}"
                     for path, field, ours, theirs in wrong[:8]))


def statfs(path):
    seen = os.statvfs(path)
    # Only squashfs itself could have names of 256 bytes, not Linux above it.
    return {field: getattr(seen, field) for field in dir(seen)
            if field.startswith("f_") and field not in ("f_namemax", "f_fsid")}


def mounted_twice(t, image):
    """Our mount and the kernel's, with the same options, open to all users."""
    for folder in (t.scratch, t.scratch.parent):
        if folder != pathlib.Path("/tmp"):
            folder.chmod(0o755)
    return t.mount(image, options=["allow_other"]), harness.kernel_squashfs(t, image)
