# SPDX-License-Identifier: Apache-2.0
"""The command line of xaasfs: what it takes, what it refuses, and what that does to the mount."""

import os
import pwd
import re
import shutil
import subprocess

import harness
from harness.programs import cache_stats, programs

NOBODY = 65534


def test_refusals_say_why(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"a"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    (t.scratch / "file").write_bytes(b"no image")
    for arguments, status, words in [
            ((image, mnt, "-o", "pateince=3"), 2, "did you mean patience?"),
            ((image, mnt, "-o", "offset"), 2, "needs a value"),
            ((image, mnt, "-o", "cache_size=many"), 2, "not a size"),
            ((image, mnt, "--wrong"), 2, "unknown option wrong"),
            ((image,), 2, "no mount point"),
            ((image, t.scratch / "none"), 1, "mkdir"),
            ((image, t.scratch / "file"), 1, "not a folder"),
            ((t.scratch / "none", mnt), 1, "No such file"),
            ((t.scratch / "file", mnt), 1, "not a squashfs image"),
            ((t.scratch, mnt), 1, "is a folder"),
            ((image, mnt, "-o", "offset=999999999"), 1, "nothing is at byte"),
    ]:
        done = t.xaasfs(*arguments)
        t.equal(done.returncode, status, f"status of {arguments}")
        t.contains(done.stderr, words)
        t.equal(len(done.stderr.splitlines()), 1, "lines")
        t.true(not os.path.ismount(mnt), "it is mounted")
    t.contains(t.xaasfs("-V").stdout, "libfuse 3.")
    t.contains(t.xaasfs("-h").stdout, "patience=")


def test_the_manual_has_every_option(t):
    manual = (harness.SOURCE / "man/xaasfs.1").read_text().replace("\\-", "-")
    usage = t.xaasfs("--help").stdout
    names = re.findall(r"(?<=[ ,])-o ([a-z_]+)", usage) + re.findall(r"^  (--?[\w-]+)", usage, re.M)
    t.true(len(names) > 12, names)
    for name in names:
        t.true(re.search(rf"[ \n]{name}\\?[=~ \n\"]", manual), f"{name} is not in xaasfs(1)")


def test_mount_command_and_fstab_options(t):
    harness.need_root()
    harness.need_command("mount.fuse3")
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    # What mount(8) runs for `mount -t fuse.xaasfs`, except that it looks in fixed folders.
    t.run(["mount.fuse3", f"{harness.binary('xaasfs')}#{image}", mnt, "-o",
           "rw,allow_other,noauto,nofail,_netdev,x-systemd.automount,noexec"])
    t.equal((mnt / "a").read_bytes(), b"served")
    t.run(["umount", mnt])
    t.wait_until(lambda: not harness.processes_of(image), "its end")



def test_options_of_other_mount_commands(t):
    """What people type for squashfuse and libfuse works, or says what to type instead."""
    harness.need_fuse()
    image = t.squashfs({"a": b"a"})
    mnt = t.scratch / "mnt"
    for option in ("nonempty", "kernel_cache", "use_ino", "max_threads=3", "max_idle_threads=2",
                   "clone_fd", "noclone_fd", "default_permissions", "nosuid", "nodev", "noatime"):
        with t.mount(image, options=[option], mountpoint=mnt) as path:
            t.equal((path / "a").read_bytes(), b"a", option)
    with t.mount(image, arguments=["-s"], mountpoint=mnt) as path:
        t.equal((path / "a").read_bytes(), b"a", "-s")
    for option, advice in (("notify_pipe=/x", "--ready-fd"), ("entry_timeout=3", "leave it out"),
                           ("umask=022", "-o uid="), ("modules=subdir", "-o subdir="),
                           ("max_read=4096", "leave it out"), ("direct_io", "leave it out")):
        done = t.xaasfs("-o", option, image, mnt)
        t.equal(done.returncode, 2, option)
        t.contains(done.stderr, f"option {option.partition('=')[0]} ")
        t.contains(done.stderr, advice)


def test_everything_owned_by_somebody_else(t):
    tree = {"a": b"a", "d/b": b"b", "link": "a"}
    image = t.squashfs(tree)
    with t.mount(image, options=["uid=12345", f"gid={NOBODY}"]) as mnt:
        for path in (mnt, *mnt.rglob("*")):
            t.equal((path.lstat().st_uid, path.lstat().st_gid), (12345, NOBODY), str(path))
    with t.mount(image, options=["uid=daemon"]) as mnt:
        st = (mnt / "d/b").stat()
        t.equal((st.st_uid, st.st_gid), (pwd.getpwnam("daemon").pw_uid, os.getegid()))
    for option in ("uid=nobody-of-that-name", "gid=4294967295", "uid=-1", "gid="):
        t.equal(t.xaasfs("-o", option, image, t.scratch / "mnt9").returncode, 2, option)


def test_a_folder_as_the_root(t):
    image = t.squashfs({"top": b"top", "d/e/f": b"f", "d/e/up": "../x", "d/x": b"x", "d/e/g/h": b"h",
                        "link": "d/e", "d/abs": "/x"})
    with t.mount(image) as whole:
        inside = {path.name: path.lstat().st_ino for path in (whole / "d/e").iterdir()}
        links = (whole / "d/e").stat().st_nlink
    for name in ("d/e", "/d/e/", "link"):
        with t.mount(image, options=[f"subdir={name}"], mountpoint=t.scratch / "mnt") as mnt:
            t.equal({path.name: path.lstat().st_ino for path in mnt.iterdir()}, inside, name)
            t.equal((mnt / "f").read_bytes(), b"f")
            t.equal((mnt / "g/h").read_bytes(), b"h")
            t.equal(mnt.stat().st_nlink, links)
            t.equal(os.path.realpath(mnt / "g/../.."), str(mnt.parent), "..")
            # What readdir says of ".." is not what the kernel walks.
            listed = t.run(["ls", "-fi", mnt / "g"]).stdout.split("\n")
            t.true(f"{mnt.stat().st_ino} .." in [line.strip() for line in listed], listed)
            t.run(["find", mnt, "-type", "f"])
            t.equal((mnt / "up").resolve(), mnt.parent / "x", "a link out of the folder")
    for name in ("none", "top", "d/e/f", "../../none"):
        done = t.xaasfs("-o", f"subdir={name}", image, t.scratch / "mnt")
        t.equal(done.returncode, 1, name)
        t.contains(done.stderr, f"cannot show {name} of {image}")


def nested_image(t):
    """An image with a root file system in a folder of it, and nothing at its own root."""
    outer = t.scratch / "outer"
    (outer / "images").mkdir(parents=True)
    shutil.copytree(programs().root.path, outer / "images/v1", symlinks=True)
    (outer / "images/current").symlink_to("v1")
    image = t.scratch / "nested.sqfs"
    t.run([harness.binary("xaas"), "pack", outer, image])
    return image


def test_programs_below_a_folder_that_is_the_root(t):
    harness.need_root()
    image = nested_image(t)
    mount = t.mount(image, options=["subdir=images/current", f"cache={t.cache}"])
    library = mount.path / "usr/lib/libtwice.so"
    t.true(not (mount.path / ".xaas").exists(), "the hidden folder is there")
    # Opened and not run, so that nobody but the mount itself asks for the library.
    (mount.path / "usr/bin/hello").read_bytes()
    t.wait_until(lambda: os.getxattr(library, "user.xaasfs.state").startswith(b"native"),
                 "compiling the library ahead")
    t.contains(t.run(["chroot", mount.path, "/usr/bin/hello"]).stdout, "42 ")
    t.equal(cache_stats(t)["compiles"], 2)
    mount.stop()


def test_a_folder_without_programs_needs_no_cache(t):
    image = nested_image(t)
    with t.mount(image, options=["subdir=images/v1/etc", "cache=/proc/nothing"]) as mnt:
        t.equal((mnt / "ordinary").read_text(), "ordinary\n")
    refused = t.run([harness.binary("xaasfs"), "-o", "cache=/proc/nothing", image, t.scratch / "m"],
                    expect=1)
    t.contains(refused.stderr, "cannot open the cache folder /proc/nothing")


def test_ready_fd(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    for arguments in ((), ("-f",), ("-f", "-o", "auto_unmount")):
        reading, writing = os.pipe()
        process = t.start([harness.binary("xaasfs"), *arguments, "--ready-fd", writing, image, mnt],
                          pass_fds=[writing])
        os.close(writing)
        with open(reading, encoding="ascii") as pipe:
            # Its end comes because nobody holds it any more, not because the mount has ended.
            t.equal(pipe.read(), "ready\n", f"told with {arguments}")
        t.equal((mnt / "a").read_bytes(), b"served")
        t.run(["umount", mnt] if os.geteuid() == 0 else ["fusermount3", "-u", mnt])
        t.equal(process.wait(60), 0)
        t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_ready_fd_of_a_mount_that_fails(t):
    harness.need_fuse()
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    image = t.squashfs({"a": b"a"})
    image.write_bytes(b"hsqs" + bytes(1000))
    reading, writing = os.pipe()
    process = t.start([harness.binary("xaasfs"), f"--ready-fd={writing}", image, mnt],
                      pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with open(reading, encoding="ascii") as pipe:
        t.equal(pipe.read(), "")
    t.equal(process.wait(60), 1)
    for fd in ("999", "x", "-1"):
        done = t.xaasfs("--ready-fd", fd, image, mnt)
        t.equal(done.returncode, 2, fd)
        t.contains(done.stderr, "open for writing")


harness.main()
