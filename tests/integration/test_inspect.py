# SPDX-License-Identifier: Apache-2.0
"""xaas inspect: each kind of file, as text and as JSON, whole and damaged."""

import json
import os
import random
import shutil

import harness
from packing import Fat, pack

MAIN = "int asks(void); int main(void) { return asks(); }\n"
ASKS = """__attribute__((target("avx2,fma"))) int asks(void) { return 0; }
int plain(void) { return 1; }
"""


def inspect(t, *arguments, expect=0):
    return t.run([harness.binary("xaas"), "inspect", *arguments], expect=expect)


def as_json(t, *arguments):
    return json.loads(inspect(t, "--json", *arguments).stdout)


def make(t):
    """A fat ELF of one module that asks for features, one that does not, and assembly."""
    fat = Fat(t)
    parts = [fat.object("main", MAIN), fat.object("asks", ASKS)]
    (fat.folder / "hand.s").write_text(".globl hand\nhand: ret\n.section .note.GNU-stack\n")
    native = fat.folder / "hand.o"
    t.run([fat.clang, "-c", fat.folder / "hand.s", "-o", native])
    plain = fat.link("plain", [*parts, native])
    script = fat.folder / "script"
    script.write_text("V { global: *; };")
    libc = fat.library("libc.so.6")
    program = fat.elf(plain, fat.folder / "program",
                      [*parts, native, "--stub", libc, "--text", script])
    return fat, plain, program


def test_fat_elf(t):
    _, _, program = make(t)
    seen = as_json(t, program)
    t.equal((seen["kind"], seen["producer"]), ("fat-elf", "make-fat-elf"), "kind and producer")
    variant = seen["variants"][0]
    t.equal([module["name"] for module in variant["modules"]], ["main.o", "asks.o"], "modules")
    t.contains(variant["modules"][1]["extras"], "+avx2")
    t.true("extras" not in variant["modules"][0], "a module that asks for nothing")
    t.equal(variant["native_inputs"][0]["name"], "hand.o", "native input")
    t.equal(variant["recipe"]["options"], ["--version-script=(file)"], "options")
    t.equal(seen["kept_native"], ["hand.o"], "what stayed native")
    text = inspect(t, program).stdout
    for part in ("captured", "asks.o", "+avx2", "native part: hand.o", "linked against: libc.so.6",
                 "size in an image: 320.0 KiB"):
        t.contains(text, part)


def test_plain_elf(t):
    _, plain, _ = make(t)
    seen = as_json(t, plain)
    t.equal((seen["kind"], seen["elf"]["needed"]), ("elf", ["libc.so.6"]), "plain ELF")
    text = inspect(t, plain).stdout
    t.contains(text, "not captured")
    t.contains(text, "xaas build")
    t.contains(text, "clang version 19")


def test_objects_and_archives(t):
    fat, _, _ = make(t)
    seen = as_json(t, fat.folder / "asks.o")
    t.equal(seen["kind"], "object", "kind")
    t.contains(seen["modules"][0]["extras"], "+avx2")
    t.run(["ar", "rc", fat.folder / "lib.a", *[fat.folder / name for name in (
        "main.o", "asks.o", "hand.o")]])
    seen = as_json(t, fat.folder / "lib.a")
    t.equal([(member["name"], member["kind"]) for member in seen["members"]],
            [("main.o", "object"), ("asks.o", "object"), ("hand.o", "elf")], "members")
    t.contains(inspect(t, fat.folder / "lib.a").stdout, "2 of 3 members with bitcode")
    slow = fat.object("slow", "int slow(void) { return 1; }\n", "-O0")
    t.contains(inspect(t, slow).stdout, "-O0")
    bitcode = fat.folder / "full.bc"
    t.run([fat.clang, "-O2", "-flto=full", "-c", fat.folder / "main.c", "-o", bitcode])
    seen = as_json(t, bitcode)
    t.equal(seen["kind"], "bitcode", "kind")
    t.true(seen["modules"][0].get("unusable"), "full LTO bitcode is of no use, and that is said")


def test_merged_object(t):
    """ld -r concatenates sections; capture leaves a list of the parts instead."""
    fat, _, _ = make(t)
    merged = fat.folder / "merged.o"
    t.run([harness.binary("xaas-ld"), "-r", *[fat.folder / name for name in (
        "main.o", "asks.o", "hand.o")], "-o", merged])
    seen = as_json(t, merged)
    t.equal(seen["kind"], "merged-object", "kind")
    modules = seen["variants"][0]["modules"]
    t.equal([module["name"] for module in modules], ["main.o", "asks.o"], "parts")
    t.contains(modules[1]["extras"], "+avx2")
    t.contains(inspect(t, merged).stdout, "native inputs: hand.o")


def test_image(t):
    fat, _, program = make(t)
    root = t.scratch / "root"
    (root / "bin").mkdir(parents=True)
    (root / "lib").mkdir()
    shutil.copy(program, root / "bin/a")
    shutil.copy(program, root / "bin/b")
    shutil.copy(fat.library("libc.so.6"), root / "lib/libc.so.6")
    image = t.scratch / "i.sqfs"
    pack(t, root, image)
    seen = as_json(t, image)
    t.equal((seen["modules"], seen["module_references"]), (2, 4), "sharing")
    t.equal(seen["programs"][0]["kept_native"], ["hand.o"], "what stayed native")
    text = inspect(t, image).stdout
    t.contains(text, "2 different modules, used 4 times")
    t.contains(text, "bin/b: 320.0 KiB, 2 modules")
    one = as_json(t, image, "/bin/b")
    t.contains(one["variants"][0]["modules"][1]["extras"], "+avx2")
    t.contains(inspect(t, image, "bin/a").stdout, "native inputs: hand.o")
    t.contains(inspect(t, image, "bin/c", expect=1).stderr, "no portable object")
    plain = t.squashfs({"a": b"x"}, name="plain.sqfs")
    t.contains(inspect(t, plain).stdout, "without portable objects")


def test_refusals(t):
    t.contains(inspect(t, "/etc/passwd", expect=1).stderr, "neither an ELF file nor")
    t.contains(inspect(t, "/", expect=1).stderr, "not a file")
    t.contains(inspect(t, "nothing", expect=1).stderr, "nothing")
    t.contains(inspect(t, expect=2).stderr, "FILE is missing")
    t.contains(inspect(t, "a", "b", "c", expect=2).stderr, "too many")
    (t.scratch / "empty").touch()
    inspect(t, t.scratch / "empty", expect=1)


def test_damage_never_crashes(t):
    """Flipped bytes in anything: an answer or a refusal, and no signal."""
    fat, _, program = make(t)
    root = t.scratch / "root"
    root.mkdir()
    shutil.copy(program, root / "a")
    pack(t, root, t.scratch / "i.sqfs")
    t.run(["ar", "rc", fat.folder / "lib.a", fat.folder / "main.o", fat.folder / "asks.o"])
    seed = int(os.environ.get("XAASFS_TEST_SEED", "0")) or random.randrange(1 << 32)
    print(f"XAASFS_TEST_SEED={seed}")
    chance = random.Random(seed)
    for path in (program, fat.folder / "asks.o", fat.folder / "lib.a", t.scratch / "i.sqfs"):
        good = path.read_bytes()
        for turn in range(12):
            bad = bytearray(good)
            for _ in range(1 + turn):
                bad[chance.randrange(len(bad))] = chance.randrange(256)
            if turn % 4 == 3:
                del bad[chance.randrange(len(bad)):]
            (t.scratch / "bad").write_bytes(bad)
            done = inspect(t, t.scratch / "bad", expect=None)
            t.true(done.returncode in (0, 1), f"status {done.returncode} for {path.name}, turn {turn}")


harness.main()
