# SPDX-License-Identifier: Apache-2.0
"""xaas pack, of captured programs: what the image holds of them, and what stays native."""

import json
import os
import pathlib
import random
import shutil

import harness
from packing import Fat, describe, pack, plain_mount

MAIN = "double work(double *, int); int main(void) { double x[9] = {3}; return work(x, 9) != 9; }\n"
WORK = "double work(double *x, int n) { double s = 0; for (int i = 0; i < n; i++) s += x[i] * x[i]; return s; }\n"


def make_rootfs(t, fat):
    """Two programs that share a module, and a library; with the C library that they need."""
    root = t.scratch / "root"
    libc = fat.library("libc.so.6")
    main, work = fat.object("main", MAIN, "-g"), fat.object("work", WORK, "-march=x86-64-v3", "-g")
    again = fat.object("again", MAIN.replace("!= 9", "== 9"))
    stub = ["--stub", libc]
    one = fat.link("one.plain", [main, work])
    fat.elf(one, root / "bin/one", [main, work, *stub])
    fat.elf(fat.link("two.plain", [again, work]), root / "bin/two", [again, work, *stub])
    library = fat.link("lib.plain", [work], "-shared", "-Wl,-soname,libwork.so.1")
    fat.elf(library, root / "lib/libwork.so.1", [work, *stub])
    shutil.copy(libc, root / "lib/libc.so.6")
    shutil.copy(one, root / "bin/plain")
    for path in (root, *root.rglob("*")):
        os.utime(path, (10**9, 10**9), follow_symlinks=False)
    return root


def inspect(t, *arguments):
    return json.loads(t.run([harness.binary("xaas"), "inspect", "--json", *arguments]).stdout)


def sections(t, path):
    return t.run(["readelf", "-SW", path]).stdout


def promised(size):
    return (2 * size + (256 << 10) + 65535) // 65536 * 65536


def test_baseline(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    done = pack(t, root, t.scratch / "i.sqfs")
    t.contains(done.stdout, "3 portable objects, 2 ELF files not captured")
    seen = inspect(t, t.scratch / "i.sqfs")
    t.equal([program["path"] for program in seen["programs"]],
            ["bin/one", "bin/two", "lib/libwork.so.1"], "programs")
    t.equal((seen["modules"], seen["module_references"]), (3, 5), "modules and uses")
    t.equal(seen["stored"]["stubs"]["count"], 1, "one stub for all")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.run([mnt / "bin/one"])
        t.true(".xaas.record" not in sections(t, mnt / "bin/one"), "the record is still there")
        t.true(".debug_info" not in sections(t, mnt / "bin/one"), "so is debug information")
        t.contains(sections(t, mnt / "bin/plain"), ".debug_info")
        t.equal((mnt / "bin/plain").read_bytes(), (root / "bin/plain").read_bytes(), "other ELFs")
        for program in seen["programs"]:
            t.equal(program["promised_size"], promised(os.stat(mnt / program["path"]).st_size),
                    f"promised size of {program['path']}")
        bundle = describe(mnt / ".xaas/bundle")
        t.equal((bundle["mode"], bundle["uid"], bundle["mtime"]), ("-r--r--r--", 0, 10**9), "bundle")
        t.equal(describe(mnt / ".xaas")["mode"], "dr-xr-xr-x", "its folder")


def captured_rootfs(t, fat):
    """A program and a library of it, built through capture."""
    root = t.scratch / "captured"
    (fat.folder / "main.c").write_text(MAIN)
    (fat.folder / "work.c").write_text(WORK)
    for folder in ("bin", "lib"):
        (root / folder).mkdir(parents=True)
    compiler = [harness.binary("xaas-cc"), "-O2"]
    t.run([*compiler, "-shared", "-fPIC", "-Wl,-soname,libwork.so.1", fat.folder / "work.c", "-o",
           root / "lib/libwork.so.1"])
    t.run([*compiler, fat.folder / "main.c", root / "lib/libwork.so.1", "-Wl,-rpath,$ORIGIN/../lib",
           "-o", root / "bin/one"])
    shutil.copy(fat.library("libc.so.6"), root / "lib/libc.so.6")
    return root


def test_through_xaasfs(t):
    """The promised size before and after a compile, and /.xaas out of sight; lean and not."""
    harness.need_fuse()
    root = captured_rootfs(t, Fat(t))
    for flags in ([], ["--lean"]):
        image = t.scratch / f"i{len(flags)}.sqfs"
        pack(t, *flags, root, image)
        programs = inspect(t, image)["programs"]
        t.equal([program["path"] for program in programs], ["bin/one", "lib/libwork.so.1"], "programs")
        with t.mount(image) as mnt:
            t.true(".xaas" not in os.listdir(mnt), "/.xaas is shown")
            for program in programs:
                path = mnt / program["path"]
                t.equal(os.stat(path).st_size, program["promised_size"], f"size of {path}")
                with open(path, "rb") as file:
                    t.equal(file.read(4), b"\x7fELF", f"start of {path}")
                t.equal(os.stat(path).st_size, program["promised_size"], f"size of {path}")
                t.contains(os.getxattr(path, "user.xaasfs.state").decode(), "native")
            t.run([mnt / "bin/one"])


def test_lean(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    pack(t, "--lean", root, t.scratch / "i.sqfs")
    t.true(not any(program["baseline"] for program in inspect(t, t.scratch / "i.sqfs")["programs"]),
           "a lean image has no baselines")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.contains((mnt / "bin/one").read_text(), "# xaas portable object\n")
        t.run(["sh", "-c", str(mnt / "bin/one")], expect=126)
        t.run([mnt / "bin/plain"])
        for name in ("mode", "uid", "gid", "mtime"):
            t.equal(describe(mnt / "bin/one")[name], describe(root / "bin/one")[name], name)
    pack(t, "--lean", "--keep-baseline", root, t.scratch / "b.sqfs")
    t.true(inspect(t, t.scratch / "b.sqfs")["programs"][0]["baseline"], "the last one counts")


def test_same_bytes(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    for flags in ([], ["--lean"], ["--debug"], ["--level", "3"]):
        images = []
        for name in ("a.sqfs", "b.sqfs"):
            pack(t, *flags, root, t.scratch / name)
            images.append((t.scratch / name).read_bytes())
        t.equal(images[0], images[1], f"images with {flags}")


def test_neutral_modules_are_one(t):
    """The same source built for other CPUs gives the same module."""
    fat = Fat(t)
    root = t.scratch / "root"
    main, libc = fat.object("main", MAIN), fat.library("libc.so.6")
    for level in ("x86-64", "x86-64-v2", "x86-64-v3"):
        work = fat.object("work", WORK, f"-march={level}")
        plain = fat.link("plain", [main, work])
        fat.elf(plain, root / "bin" / level, [main, work, "--stub", libc])
    (root / "lib").mkdir()
    shutil.copy(libc, root / "lib/libc.so.6")
    pack(t, root, t.scratch / "i.sqfs")
    seen = inspect(t, t.scratch / "i.sqfs")
    t.equal((len(seen["programs"]), seen["modules"]), (3, 2), "programs and modules")


def test_debug(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    pack(t, root, t.scratch / "without.sqfs")
    pack(t, "--debug", root, t.scratch / "with.sqfs")
    sizes = [inspect(t, t.scratch / f"{name}.sqfs")["stored"]["modules"]["size"]
             for name in ("without", "with")]
    t.true(sizes[0] < sizes[1], f"bytes of modules without and with debug information: {sizes}")
    with plain_mount(t, t.scratch / "with.sqfs") as mnt:
        t.contains(sections(t, mnt / "bin/one"), ".debug_info")


def test_what_the_file_says_now_wins(t):
    """The record says one rpath; the file has none, or the one that chrpath or cmake wrote."""
    fat = Fat(t)
    root = make_rootfs(t, fat)
    main, work = fat.object("main", MAIN), fat.object("work", WORK)
    plain = fat.link("rpath.plain", [main, work], "-Wl,-rpath,/now:$ORIGIN")
    fat.elf(plain, root / "bin/rpath", [main, work, "--stub", fat.library("libc.so.6")])
    recorded = inspect(t, root / "bin/one")["variants"][0]["recipe"]
    t.equal(recorded["rpath"], "/recorded/before/cmake/--install", "rpath in the record")
    pack(t, root, t.scratch / "i.sqfs")
    recipe = inspect(t, t.scratch / "i.sqfs", "bin/one")["variants"][0]["recipe"]
    t.true("rpath" not in recipe, "an rpath that the file does not have")
    t.equal(recipe["needed"], ["libc.so.6"], "NEEDED")
    t.equal(recipe["interpreter"], "/lib64/ld-linux-x86-64.so.2", "interpreter")
    recipe = inspect(t, t.scratch / "i.sqfs", "/bin/rpath")["variants"][0]["recipe"]
    t.equal(recipe["rpath"], "/now:$ORIGIN", "rpath of the file")
    library = inspect(t, t.scratch / "i.sqfs", "lib/libwork.so.1")["variants"][0]
    t.equal((library["recipe"]["soname"], library["exports"]), ("libwork.so.1", 1), "library")


def test_attributes_stay(t):
    harness.need_root()
    fat = Fat(t)
    root = make_rootfs(t, fat)
    one = root / "bin/one"
    os.chown(one, 3, 4)
    os.chmod(one, 0o6755)
    try:
        os.setxattr(one, "security.capability",
                    bytes.fromhex("0100000200200000000000000000000000000000"))
    except OSError:
        harness.skip("the scratch folder's file system does not store capabilities")
    os.link(one, root / "a-name-before")
    pack(t, root, t.scratch / "i.sqfs")
    t.equal([program["path"] for program in inspect(t, t.scratch / "i.sqfs")["programs"]],
            ["a-name-before", "bin/two", "lib/libwork.so.1"], "one program of two names")
    with plain_mount(t, t.scratch / "i.sqfs", exact=True) as mnt:
        wanted, seen = describe(one), describe(mnt / "bin/one")
        for name in ("mode", "uid", "gid", "mtime", "xattrs", "links"):
            t.equal(seen[name], wanted[name], name)
        t.equal(os.stat(mnt / "a-name-before").st_ino, os.stat(mnt / "bin/one").st_ino, "inode")


def test_from_tar(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    pack(t, root, t.scratch / "folder.sqfs")
    t.run(["tar", "-cf", "root.tar", "-C", root, "."])
    pack(t, t.scratch / "root.tar", t.scratch / "tar.sqfs")
    t.equal((t.scratch / "tar.sqfs").read_bytes(), (t.scratch / "folder.sqfs").read_bytes(), "image")


def test_stays_native(t):
    """A module that cannot be normalised keeps its program native, and the summary says why."""
    fat = Fat(t)
    root = t.scratch / "root"
    main, libc = fat.object("main", MAIN), fat.library("libc.so.6")
    work = fat.object("work", WORK, "-g")
    junk = fat.folder / "junk.bc"
    junk.write_bytes(b"BC\xc0\xde" + os.urandom(500))
    full = fat.folder / "full.bc"
    t.run([fat.clang, "-O2", "-flto=full", "-c", fat.folder / "work.c", "-o", full])
    plain = fat.link("plain", [main, work])
    stub = ["--stub", libc]
    fat.elf(plain, root / "bin/junk", [main, "--claim", junk, *stub])
    fat.elf(plain, root / "bin/full", [main, "--claim", full, *stub])
    fat.elf(plain, root / "bin/good", [main, work, *stub])
    (root / "lib").mkdir()
    shutil.copy(libc, root / "lib/libc.so.6")
    done = pack(t, "--lean", root, t.scratch / "i.sqfs")
    t.contains(done.stdout, "1 portable object, 2 captured but native")
    t.contains(done.stdout, "stays native: bin/junk: junk.bc: ")
    t.contains(done.stdout, "stays native: bin/full: full.bc: ")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.run([mnt / "bin/junk"])
        seen = inspect(t, mnt / "bin/junk")
        t.equal(seen["variants"], [], "what is left of its record")
        t.contains(seen["kept_native"][0], "junk.bc: ")
        t.contains(sections(t, mnt / "bin/junk"), ".debug_info")
        t.contains((mnt / "bin/good").read_text(), "portable object")


def test_damaged_records(t):
    """A flipped byte anywhere in a record never fails the image: that program stays native."""
    fat = Fat(t)
    root = make_rootfs(t, fat)
    good = (root / "bin/one").read_bytes()
    start = good.index(b"XAASBNDL")
    for place in (0, 8, 12, 16, 24, 40, 72, 88, 200, 3000):
        bad = bytearray(good)
        bad[start + place] ^= 0x41
        (root / "bin/one").write_bytes(bad)
        done = pack(t, "--level", "1", root, t.scratch / "i.sqfs")
        t.contains(done.stdout, "stays native: bin/one: its record is")
        with plain_mount(t, t.scratch / "i.sqfs") as mnt:
            t.run([mnt / "bin/one"])
            t.contains(inspect(t, mnt / "bin/one")["kept_native"][0], "its record is")


def test_damaged_elfs(t):
    """Bytes flipped anywhere in a fat ELF: an image or a refusal, and no signal."""
    fat = Fat(t)
    root = make_rootfs(t, fat)
    good = (root / "bin/one").read_bytes()
    seed = int(os.environ.get("XAASFS_TEST_SEED", "0")) or random.randrange(1 << 32)
    print(f"XAASFS_TEST_SEED={seed}")
    chance = random.Random(seed)
    headers = (range(64), range(64, 64 + 13 * 56), range(len(good) - 40 * 64, len(good)))
    for turn in range(24):
        bad = bytearray(good)
        for _ in range(1 + turn % 5):
            place = chance.choice(chance.choice((*headers, range(len(good)))))
            bad[place] = chance.choice((0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)))
        if turn % 6 == 5:
            del bad[chance.randrange(len(bad)):]
        (root / "bin/one").write_bytes(bad)
        done = pack(t, "--level", "1", root, t.scratch / "i.sqfs", expect=None)
        t.true(done.returncode in (0, 1), f"status {done.returncode} in turn {turn}: {done.stderr}")


def test_missing_library_is_named(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    (root / "lib/libc.so.6").rename(root / "lib/libc.so.7")
    done = pack(t, root, t.scratch / "i.sqfs")
    t.contains(done.stderr, "NEEDED libc.so.6 is not in ROOTFS: bin/one")
    t.equal(done.stderr.count("NEEDED"), 1, "said once")


def test_added_library_gets_a_stub(t):
    """NEEDED says more than the record has stubs for, as after patchelf --add-needed."""
    fat = Fat(t)
    root = make_rootfs(t, fat)
    main, work = fat.object("main", MAIN), fat.object("work", WORK)
    plain = fat.link("plain", [main, root / "lib/libwork.so.1"])
    fat.elf(plain, root / "bin/uses", [main, "--stub", fat.library("libc.so.6")])
    pack(t, root, t.scratch / "i.sqfs")
    variant = inspect(t, t.scratch / "i.sqfs", "bin/uses")["variants"][0]
    t.equal(sorted(stub["name"] for stub in variant["stubs"]), ["libc.so.6", "libwork.so.1"], "stubs")
    (root / "lib/libwork.so.1").unlink()
    done = pack(t, root, t.scratch / "i.sqfs")
    t.contains(done.stdout, "stays native: bin/uses: it NEEDs libwork.so.1")
    again = t.scratch / "again"
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        shutil.copytree(mnt, again, ignore=lambda *_: [".xaas"])
    done = pack(t, again, t.scratch / "again.sqfs")
    t.contains(done.stdout, "stays native: bin/uses: it NEEDs libwork.so.1")


def test_not_optimised_is_said(t):
    fat = Fat(t)
    root = t.scratch / "root"
    main, libc = fat.object("main", "int main(void) { return 0; }\n", "-O0"), fat.library("libc.so.6")
    fat.elf(fat.link("plain", [main]), root / "bin/slow", [main, "--stub", libc])
    (root / "lib").mkdir()
    shutil.copy(libc, root / "lib/libc.so.6")
    t.contains(pack(t, root, t.scratch / "i.sqfs").stdout, "not specialised: 1 program built with -O0")


def test_trust(t):
    fat = Fat(t)
    root = make_rootfs(t, fat)
    pack(t, root, t.scratch / "old.sqfs")
    pack(t, "--lean", root, t.scratch / "older.sqfs")
    old = [inspect(t, t.scratch / name)["root"] for name in ("old.sqfs", "older.sqfs")]
    pack(t, "--trust", t.scratch / "old.sqfs", "--trust", t.scratch / "older.sqfs",
         "--trust", t.scratch / "old.sqfs", root, t.scratch / "new.sqfs")
    t.equal(inspect(t, t.scratch / "new.sqfs")["trusted"], sorted(old), "trusted roots")
    plain = t.squashfs({"a": b"no programs"}, name="plain.sqfs")
    t.contains(pack(t, "--trust", plain, root, t.scratch / "new.sqfs").stderr, "nothing to trust")
    pack(t, "--trust", pathlib.Path("/etc/passwd"), root, t.scratch / "no.sqfs", expect=1)
    t.true(not (t.scratch / "no.sqfs").exists(), "an image after a failure")


harness.main()
