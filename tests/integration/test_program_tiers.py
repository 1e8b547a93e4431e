# SPDX-License-Identifier: Apache-2.0
"""A file that is served first as its generic program and later as the native one: same inode, same
size, for everybody at once, and whatever is mounted above it or running from it."""

import hashlib
import os
import pathlib
import subprocess

import harness
from harness.observe import answer
from harness.programs import HeldCompile, cache_stats, programs, state


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mounted(t, *options):
    return t.mount(programs().image, options=[f"cache={t.cache}", *options])


def facts(path):
    st = path.stat()
    return st.st_ino, st.st_size, st.st_blocks, st.st_mtime_ns, st.st_nlink, st.st_mode


def tier_changes(t, mount, path):
    """PATH leads to the slow program by whatever way; its mount has patience=0."""
    real = mount.path / "usr/bin/slow"
    before = facts(path)
    with open(path, "rb") as file:
        held = HeldCompile(mount.pid)
        generic = file.read()
        t.equal(facts(path), before, "stat of the baseline")
        t.equal(t.run([path]).stdout, "slow 1\n")
        held.release()
        t.wait_until(lambda: cache_stats(t)["objects"] == 1, "the compile")
        t.true(path.read_bytes() == generic, "two tiers at a time")
    t.wait_until(lambda: state(real).startswith("native "), "letting go")
    t.equal(t.run([path]).stdout, "slow 1\n")
    t.true(path.read_bytes() != generic, "the tier did not change")
    t.equal(facts(path), before, "stat of the native program")
    t.equal(len(path.read_bytes()), real.stat().st_size, "size")


def test_under_an_overlay(t):
    harness.need_root()
    mount = mounted(t, "patience=0")
    with harness.overlay(t, mount.path) as merged:
        slow = merged / "usr/bin/slow"
        tier_changes(t, mount, slow)
        # Copy-up takes the size first and the bytes then.
        digest = sha256(slow)
        slow.chmod(0o755)
        with open(slow, "ab"):
            pass
        t.equal(sha256(slow), digest, "copied up")
        t.equal(t.run([slow]).stdout, "slow 1\n")
    mount.stop()


def test_under_a_bind_mount(t):
    harness.need_root()
    mount = mounted(t, "patience=0")
    target = t.scratch / "bound"
    target.touch()
    t.run(["mount", "--bind", mount.path / "usr/bin/slow", target])
    try:
        tier_changes(t, mount, target)
        t.true(os.path.ismount(target), "the bind mount is gone")
    finally:
        t.run(["umount", target])
    mount.stop()


def check_self(t, run, mount):
    """The program that waits, and its library, are where they were started from."""
    hello, library = mount.path / "usr/bin/hello", mount.path / "usr/lib/libtwice.so"
    t.equal(os.readlink(f"/proc/{run.pid}/exe"), str(hello))
    maps = pathlib.Path(f"/proc/{run.pid}/maps").read_text()
    t.contains(maps, str(library))
    t.true("(deleted)" not in maps, maps)


def test_a_program_knows_where_it_is_in_both_tiers(t):
    """It runs as it was started until it ends, and so does everybody else's; then comes the native
    one."""
    mount = mounted(t, "patience=0")
    hello = mount.path / "usr/bin/hello"
    for tier in ("baseline", "native"):
        run = t.start([hello, "wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        t.contains(run.stdout.readline(), str(hello))
        t.wait_until(lambda: cache_stats(t)["objects"] == 2, "the compiles")
        t.equal(state(hello).split()[0], tier, "state")
        check_self(t, run, mount)
        t.contains(t.run([hello]).stdout, f"42 {hello}")
        t.equal(state(hello).split()[0], tier, "state after another run")
        run.communicate("\n", timeout=60)
        t.equal(run.returncode, 0)
        t.wait_until(lambda: state(hello).startswith("native "), "letting go")
    mount.stop()


def data_and_holes(path):
    """All places where data and holes begin."""
    found, at, whence = [], 0, os.SEEK_DATA
    with open(path, "rb") as file:
        while isinstance(at, int):
            at = answer(os.lseek, file.fileno(), at, whence)
            found.append(at)
            whence = os.SEEK_HOLE if whence == os.SEEK_DATA else os.SEEK_DATA
    return found


def check_holes(t, mount, cache):
    slow = mount.path / "usr/bin/slow"
    t.equal(t.run([slow]).stdout, "slow 1\n")
    key = os.getxattr(slow, "user.xaasfs.key").decode()
    backing = pathlib.Path(cache) / "v1/objects" / key[:2] / key[2:]
    t.wait_until(backing.exists, "publishing")
    t.true(slow.read_bytes() == backing.read_bytes(), "it is not the file in the cache")
    t.equal(data_and_holes(slow), data_and_holes(backing), "data and holes")
    t.true(len(data_and_holes(slow)) >= 3 and data_and_holes(slow)[-2] < slow.stat().st_size,
           f"there is no hole at the end: {data_and_holes(slow)}")


def test_holes_are_those_of_the_backing_file(t):
    mount = mounted(t)
    check_holes(t, mount, t.cache)
    mount.stop()


def test_holes_without_passthrough(t):
    harness.need_root()
    (t.scratch / "lower").mkdir()
    with harness.overlay(t, t.scratch / "lower") as merged:
        mount = t.mount(programs().image, options=[f"cache={merged}/cache"])
        check_holes(t, mount, merged / "cache")
        t.contains(mount.log, "page cache")
        mount.stop()


# Everything above as one's own root, for the slow program by one of three ways.
IN_A_USER_NAMESPACE = """
set -e
mnt=$1 xaasfs=$2 xaas=$3 image=$4 cache=$5 scratch=$6 way=$7
state() { getfattr --only-values -n user.xaasfs.state $mnt/usr/bin/slow; }
$xaasfs -o cache=$cache,patience=0 $image $mnt
case $way in
mount)
        path=$mnt/usr/bin/slow ;;
overlay)
        mkdir $scratch/upper $scratch/work $scratch/merged
        mount -t overlay overlay -o lowerdir=$mnt,upperdir=$scratch/upper,workdir=$scratch/work,userxattr $scratch/merged
        path=$scratch/merged/usr/bin/slow ;;
bind)
        touch $scratch/bound
        mount --bind $mnt/usr/bin/slow $scratch/bound
        path=$scratch/bound ;;
esac
before=$(stat -c '%i %s %b %Y' $path)
exec 3<$path
$path
generic=$(sha256sum <$path)
until $xaas cache stats --json --cache $cache | tr -d ' ' | grep -q '"objects":1,'; do sleep 0.1; done
test "$(sha256sum <$path)" = "$generic"
case $(state) in baseline*) ;; *) echo "state while it is open: $(state)"; exit 1 ;; esac
exec 3<&-
until state | grep -q ^native; do sleep 0.1; done
$path
test "$(sha256sum <$path)" != "$generic"
test "$(stat -c '%i %s %b %Y' $path)" = "$before"
root=${path%/usr/bin/slow}
[ $way = bind ] || $root/usr/bin/hello
[ $way = mount ] || umount ${root:-$path}
umount $mnt
"""


def test_in_a_user_namespace(t):
    harness.need_root()
    harness.need_user_namespaces(t)
    image = t.scratch / "programs.sqfs"
    image.write_bytes(programs().image.read_bytes())
    script = t.scratch / "script.sh"
    script.write_text(IN_A_USER_NAMESPACE)
    xaasfs, xaas = (harness.binary_for_anyone(t, name) for name in ("xaasfs", "xaas"))
    for way in ("mount", "overlay", "bind"):
        folder = harness.folder_of_site_user(t, way)
        words = [folder / "mnt", xaasfs, xaas, image, folder / "cache", folder, way]
        done = harness.as_site_user(
            t, f"mkdir {folder}/mnt; unshare -Urm sh {script} {' '.join(map(str, words))}")
        t.equal(done.returncode, 0, f"{way}: {done.stdout}{done.stderr}")
        t.equal(done.stdout.count("slow 1\n"), 2, done.stdout)
        root = {"mount": folder / "mnt", "overlay": folder / "merged"}.get(way)
        t.true(root is None or f"42 {root}/usr/bin/hello" in done.stdout, done.stdout)


if __name__ == "__main__":
    harness.main()
