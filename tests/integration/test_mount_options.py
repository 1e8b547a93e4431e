# SPDX-License-Identifier: Apache-2.0
"""The command line of xaasfs: what it takes, what it refuses, and what that does to the mount."""

import json
import os
import pathlib
import pwd
import re
import shutil
import stat
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
    os.mkfifo(t.scratch / "pipe")
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
            ((t.scratch / "pipe", mnt), 1, "is a special file"),
            (("", mnt), 1, "its path is empty"),
            ((image, ""), 1, "mount point is empty"),
            ((image, mnt, "-o", "offset=999999999"), 1, "nothing is at byte"),
            ((image, mnt, "-o", "target=x86-64-v33"), 1, "x86-64-v33"),
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


# mount(8) looks for helpers, and those for file systems, in fixed folders only.
WITH_MOUNT = """
set -e
mount -t tmpfs tmpfs /usr/local/sbin
ln -s {xaasfs} /usr/local/sbin/xaasfs
mount -t fuse.xaasfs {image} {mnt} -o gid=7,allow_other,nofail,x-systemd.automount
cat {mnt}/a
stat -c :%g {mnt}/a
umount {mnt}
mount -T {fstab} {mnt}
cat {mnt}/b
grep -o ' {mnt} fuse.xaasfs [^ ]*' /proc/self/mounts
umount {mnt}
mount -a -T {fstab}
cat {mnt}2/a {mnt}3/a
umount {mnt}2 {mnt}3
"""


def test_mount_command_and_fstab(t):
    harness.need_root()
    harness.need_command("mount.fuse3")
    image = t.squashfs({"a": b"a", "d/b": b"b"})
    mnt = t.scratch / "mnt"
    for number in ("", "2", "3"):
        (t.scratch / f"mnt{number}").mkdir()
    fstab = t.scratch / "fstab"
    fstab.write_text(f"""
{image} {mnt} fuse.xaasfs subdir=d,noauto,nosuid,nodev,noexec,x-comment=this 0 0
{image} {mnt}2 fuse.xaasfs defaults,_netdev,nofail,user,noatime 0 2
xaasfs#{image} {mnt}3 fuse nonempty 0 0
""")
    script = WITH_MOUNT.format(xaasfs=harness.binary("xaasfs"), image=image, mnt=mnt, fstab=fstab)
    done = t.run(["unshare", "-m", "sh", "-c", script])
    t.equal(done.stdout, f"a:7\nb {mnt} fuse.xaasfs ro,nosuid,nodev,noexec,relatime,user_id=0,"
                         "group_id=0,default_permissions\naa")
    t.wait_until(lambda: not harness.processes_of(image), "its end")


def mount_line(mnt):
    """SOURCE MOUNTPOINT TYPE OPTIONS 0 0"""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return next(line for line in mounts if f" {mnt} " in line)


def test_what_the_mount_table_shows(t):
    image = t.squashfs({"a": b"a"})
    with t.mount(image) as mnt:
        line = mount_line(mnt)
        t.equal(line.split()[0], str(image))
        t.equal(line.split()[2], "fuse.xaasfs")
        for option in ("ro", "nosuid", "nodev", "default_permissions"):
            t.true(option in line.split()[3].split(","), line)
        t.true("allow_other" not in line, line)
    with t.mount(image, options=["fsname=the\\, image"]) as mnt:
        t.equal(mount_line(mnt).split()[0], "the,\\040image")
    if os.geteuid() == 0:
        with t.mount(image, options=["suid,dev,noexec,allow_other,fsname=x"]) as mnt:
            t.equal(mount_line(mnt), f"x {mnt} fuse.xaasfs ro,noexec,relatime,user_id=0,group_id=0,"
                                     "default_permissions,allow_other 0 0\n")


def can_read(path):
    try:
        path.read_bytes()
        return True
    except OSError:
        return False


def test_permissions(t):
    harness.need_root()
    tree = t.scratch / "tree"
    tree.mkdir()
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (tree / name).write_bytes(b"x")
        (tree / name).chmod(mode)
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    shutil.copy2("/usr/bin/id", tree / "id")
    (tree / "id").chmod(0o4755)
    image = t.scratch / "image.sqfs"
    t.run(["mksquashfs", tree, image, "-quiet", "-no-progress"])
    harness.open_scratch_for_anyone(t)

    def seen(options):
        with t.mount(image, options=options, mountpoint=t.scratch / "mnt") as mnt:
            me = t.run(["setpriv", "--reuid", NOBODY, "--clear-groups", mnt / "id", "-u"], expect=None)
            return ([harness.as_user(NOBODY, can_read, mnt / name) for name in ("open", "closed", "null")],
                    me.stdout.strip())

    t.equal(seen([]), ([False] * 3, ""), "what others may without allow_other")
    t.equal(seen(["allow_root"]), ([False] * 3, ""), "and with allow_root")
    t.equal(seen(["allow_other"]), ([True, False, False], str(NOBODY)))
    t.equal(seen(["allow_other", "dev", "suid"]), ([True, False, True], "0"))
    t.equal(seen(["allow_other", f"uid={NOBODY}"]), ([True, True, False], str(NOBODY)))


def test_threads_and_channels(t):
    image = t.squashfs({"a": b"a"})

    def channels(mount):
        # Threads start as they are needed.
        t.run(["sh", "-c", f"for n in 1 2 3 4; do find {mount.path} -type f & done; wait"])
        folder = pathlib.Path(f"/proc/{mount.pid}/fd")
        return sum(os.readlink(fd) == "/dev/fuse" for fd in folder.iterdir())

    for options, arguments, one in ((["noclone_fd"], (), True), ([], ["-s"], True), ([], (), False)):
        mount = t.mount(image, options=options, arguments=arguments)
        t.equal(channels(mount) == 1, one, f"one channel with {options}{arguments}")
        mount.stop()


def test_how_far_the_kernel_reads_ahead(t):
    harness.need_root()
    image = t.squashfs({"big": os.urandom(1 << 20) * 32})

    def reads(*options):
        mount = t.mount(image, options=options)
        device = mount.path.stat().st_dev
        kib = pathlib.Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
        with open(mount.path / "big", "rb") as file:
            while file.read(1 << 16):
                pass
        asked = json.loads(t.xaasfs("--stats", "--json", mount.path).stdout)
        told = int(kib.read_text())
        mount.stop()
        return told, asked["requests"]["read"]["count"]

    raised, few = reads()
    if raised == 128:
        harness.skip("/sys is read-only here, so that nobody may raise read_ahead_kb")
    told, many = reads("read_ahead_kb=128")
    t.equal((raised, told), (512, 128))
    t.true(few * 3 < many, f"{few} reads, {many} without")


def test_io_uring_works_or_says_what_is_missing(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"served", "big": os.urandom(3 << 20)})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    done = t.xaasfs("-o", "io_uring", image, mnt)
    if done.returncode == 0:
        threads = [path.read_text() for pid in harness.processes_of(image)
                   for path in pathlib.Path(f"/proc/{pid}/task").glob("*/comm")]
        t.true(any("fuse-ring" in name for name in threads), threads)
        t.equal((mnt / "big").read_bytes(), (t.scratch / "image.sqfs.tree/big").read_bytes())
        t.run(["umount", mnt] if os.geteuid() == 0 else ["fusermount3", "-u", mnt])
        t.wait_until(lambda: not harness.processes_of(image), "its end")
        done = t.xaasfs("-o", f"io_uring,cache={t.cache}", programs().image, mnt)
        t.contains(done.stderr, "has programs to compile")
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "cannot mount with -o io_uring: ")
    t.contains(done.stderr, "leave the option out")


def test_every_request_is_printed(t):
    mount = t.mount(t.squashfs({"a": b"a"}), arguments=["-d"])
    t.equal((mount.path / "a").read_bytes(), b"a")
    t.contains(mount.log, "LOOKUP")
    mount.stop()


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
    refused = t.run([harness.binary("xaasfs"), "-o", "subdir=images/v1/etc,target=x86-64-v33", image,
                     t.scratch / "m"], expect=1)
    t.contains(refused.stderr, "x86-64-v33")


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


def test_what_a_script_has_open_is_let_go(t):
    """Its locks and pipes would else be held for as long as the mount is there."""
    harness.need_fuse()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with open(image, "rb") as named:
        process = t.start([harness.binary("xaasfs"), f"/dev/fd/{named.fileno()}", mnt],
                          pass_fds=[writing, named.fileno()])
        os.close(writing)
        t.equal(process.wait(60), 0)
    t.equal((mnt / "a").read_bytes(), b"served")
    t.equal(os.read(reading, 1), b"", "what a pipe has to say that nobody holds")
    os.close(reading)
    t.run(["umount", mnt] if os.geteuid() == 0 else ["fusermount3", "-u", mnt])


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
