# SPDX-License-Identifier: Apache-2.0
"""What the mount answers, call by call, is what the kernel's own mount of the same image answers.

same_as_kernel.ACCEPTED and ACCEPTED_ANSWERS say where it is not, and why; anything else fails.
"""

import os
import shutil
import stat

import harness
import same_as_kernel
import usage
from harness.programs import programs

NOBODY = 65534

# How names of calls in usage.py begin, and why they work here where the kernel's squashfs knows no
# such operation (EINVAL). FUSE in the kernel answers all of them by itself.
ACCEPTED_ANSWERS = {
    "open RDONLY DIRECT": "it is how disk benchmarks and databases read",
    "fsync": "there is nothing to write, as for a read-only ext4",
    "fdatasync": "there is nothing to write, as for a read-only ext4",
    "FIBMAP": "it says that no block is on a disk",
}


def is_accepted(call, ours, theirs):
    return ours == theirs or (
        (ours, theirs) == (None, "EINVAL") and call.startswith(tuple(ACCEPTED_ANSWERS)))


def odds_and_ends(root):
    """What a Debian root file system lacks."""
    root.mkdir(exist_ok=True)
    for name in ("file", "unreadable", "for-group", "program", "set-user-id", "d/in-closed", "d2/f"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(name.encode() * 5000)
    (root / "empty").touch()
    (root / "unreadable").chmod(0o000)
    (root / "for-group").chmod(0o640)
    os.chown(root / "for-group", 5, NOBODY)
    (root / "program").write_text("#!/bin/sh\nexit 7\n")
    (root / "program").chmod(0o755)
    shutil.copy2("/usr/bin/id", root / "set-user-id")
    (root / "set-user-id").chmod(0o4755)
    (root / "link").symlink_to("file")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "sticky").mkdir(mode=0o1777)
    (root / "empty-folder").mkdir()
    os.mkfifo(root / "fifo")
    os.mknod(root / "socket", stat.S_IFSOCK | 0o777)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o600, os.makedev(4095, 1048575))
    with open(root / "sparse", "wb") as file:
        for place in (1 << 20, 5 << 20):
            file.seek(place)
            file.write(b"island" * 1000)
        file.truncate(9_000_001)
    os.setxattr(root / "file", "user.note", bytes(range(256)))
    os.setxattr(root / "file", "trusted.note", b"for root alone")
    os.setxattr(root / "file", "security.note", b"x" * 2000)
    os.setxattr(root / "d", "user.empty", b"")
    os.setxattr(root / "link", "trusted.of-the-link", b"1", follow_symlinks=False)
    (root / "d").chmod(0o700)
    os.link(root / "file", root / "d2/same")


def test_a_debian_root_file_system(t):
    harness.need_root()
    odds_and_ends(t.scratch / "odds")
    image = t.scratch / "image.sqfs"
    # Two sources become two folders in the root.
    t.run(["mksquashfs", harness.debian_root(), t.scratch / "odds", image, "-quiet",
           "-no-progress", "-comp", "zstd", "-Xcompression-level", "1"])
    ours, theirs = same_as_kernel.mounted_twice(t, image)
    with ours as mnt, theirs as kernel:
        same_as_kernel.check(t, mnt, kernel)
        t.equal(same_as_kernel.statfs(mnt), same_as_kernel.statfs(kernel), "statfs")
        t.equal(os.statvfs(mnt).f_namemax, 255, "the longest name")


def odd_image(t):
    tree = t.scratch / "tree"
    odds_and_ends(tree)
    image = t.scratch / "image.sqfs"
    t.run(["mksquashfs", tree, image, "-quiet", "-no-progress"])
    return image


def odd_image_with_programs(t):
    """The same as portable objects make it: then the mount wants to know about each open."""
    root = t.scratch / "packed"
    shutil.copytree(programs().root.path, root, symlinks=True)
    odds_and_ends(root)
    image = t.scratch / "packed.sqfs"
    t.run([harness.binary("xaas"), "pack", root, image])
    return image


def check_usage(t, image, *uids):
    ours, theirs = same_as_kernel.mounted_twice(t, image)
    with ours as mnt, theirs as kernel:
        for uid in uids:
            seen = [harness.as_user(uid, usage.every_answer, root) for root in (mnt, kernel)]
            t.true(len(seen[0]) > 1000, f"only {len(seen[0])} calls were made")
            wrong = {call: [answers.get(call) for answers in seen] for call in seen[0] | seen[1]
                     if not is_accepted(call, seen[0].get(call), seen[1].get(call))}
            t.true(not wrong, f"answers to user {uid} (here, in the kernel's mount): {wrong}")


def test_every_call(t):
    harness.need_root()
    check_usage(t, odd_image(t), 0, NOBODY)


def test_every_call_beside_programs(t):
    harness.need_root()
    check_usage(t, odd_image_with_programs(t), 0, NOBODY)


def test_an_image_without_attributes(t):
    harness.need_root()
    image = t.squashfs({"d/file": b"content", "link": "d/file"}, mksquashfs_options=["-no-xattrs"])
    ours, theirs = same_as_kernel.mounted_twice(t, image)
    with ours as mnt, theirs as kernel:
        same_as_kernel.check(t, mnt, kernel)


if __name__ == "__main__":
    harness.main()
