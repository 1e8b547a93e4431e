# SPDX-License-Identifier: Apache-2.0
"""xaas prewarm: what it compiles, what it leaves alone, and what survives being killed."""

import json
import pathlib
import signal
import subprocess
import time

import harness

XAAS = harness.binary("xaas")
CC = harness.binary("xaas-cc")

SHARED = """
double kernel(double *a, const double *b, int n)
{
        double sum = 0;
        for (int i = 0; i < n; i++) {
                a[i] += 2 * b[i];
                sum += a[i] * b[i];
        }
        return sum;
}
"""
LIBRARY = "int twice(int x) { return 2 * x; }\n"
ONE = """
#include <stdio.h>
double kernel(double *, const double *, int);
int twice(int);
int main(void)
{
        double a[64] = {1}, b[64] = {2};
        printf("one %g %d\\n", kernel(a, b, 64), twice(21));
}
"""
TWO = """
#include <stdio.h>
double kernel(double *, const double *, int);
int main(void)
{
        double a[32] = {3}, b[32] = {4};
        printf("two %g\\n", kernel(a, b, 32));
}
"""


def image(t):
    """Programs `one` (with a library) and `two`, which share a module, and something native."""
    source = t.scratch / "source"
    source.mkdir()
    for name, text in {"shared": SHARED, "twice": LIBRARY, "one": ONE, "two": TWO}.items():
        (source / f"{name}.c").write_text(text)
    root = t.rootfs()
    root.add_commands("true")
    library = root.inside("/usr/lib/libtwice.so")
    t.run([CC, "-O2", "-c", "shared.c", "-o", "shared.o"], cwd=source)
    t.run([CC, "-O2", "-shared", "-fPIC", "twice.c", "-o", library, "-Wl,-soname,libtwice.so"],
          cwd=source)
    t.run([CC, "-O2", "one.c", "shared.o", library, "-o", root.inside("/usr/bin/one")], cwd=source)
    t.run([CC, "-O2", "two.c", "shared.o", "-o", root.inside("/usr/bin/two")], cwd=source)
    root.add_libraries(str(library.parent))
    packed = t.scratch / "image.sqfs"
    t.run([XAAS, "pack", root.path, packed])
    return packed


def prewarm(t, *words, expect=0):
    return json.loads(t.run([XAAS, "prewarm", "--json", *words], expect=expect).stdout)


def states(told):
    return {program["path"]: program["state"] for program in told["programs"]}


def counters(t):
    return json.loads(t.run([XAAS, "cache", "stats", "--json"]).stdout)


def test_everything_once(t):
    packed = image(t)
    t.equal(states(prewarm(t, packed)), {"usr/bin/one": "compiled", "usr/bin/two": "compiled",
                                        "usr/lib/libtwice.so": "compiled"})
    before = counters(t)
    t.equal((before["compiles"], before["objects"], before["misses"]), (3, 3, 3))
    done = t.run([XAAS, "prewarm", packed])
    t.contains(done.stdout, "nothing to do: all programs are in the cache")
    t.equal(done.stderr, "")
    after = counters(t)
    t.equal((after["compiles"], after["hits"] - before["hits"]), (3, 3))
    # Another target is another thing, and does not disturb the first.
    t.equal(prewarm(t, packed, "--target", "x86-64-v2")["compiled"], 3)
    t.equal(prewarm(t, packed)["cached"], 3)
    t.equal(counters(t)["objects"], 6)


def test_modules_are_shared(t):
    packed = image(t)
    prewarm(t, packed, "/usr/bin/two")
    before = counters(t)
    t.equal((before["module_hits"], before["module_misses"]), (0, 2))
    prewarm(t, packed, "/usr/bin/one")
    after = counters(t)
    t.equal((after["module_hits"], after["module_misses"]), (1, 4))


def test_only_what_is_named(t):
    packed = image(t)
    t.equal(states(prewarm(t, packed, "usr/bin/two")), {"usr/bin/two": "compiled"})
    t.equal(states(prewarm(t, packed, "/bin/one")),
            {"usr/bin/one": "compiled", "usr/lib/libtwice.so": "compiled"})
    t.equal(states(prewarm(t, packed, "/bin")),
            {"usr/bin/one": "cached", "usr/bin/two": "cached"})
    t.contains(t.run([XAAS, "prewarm", packed, "/usr/bin/true"]).stdout, "nothing to do")
    done = t.run([XAAS, "prewarm", packed, "/usr/bin/three"], expect=1)
    t.contains(done.stderr, "/usr/bin/three")
    t.contains(done.stderr, "No such file")


def test_the_number_of_cores_changes_nothing(t):
    packed = image(t)
    for policy in ("opt=3", "opt=3,lto=full"):
        results = []
        for cores in (1, 2):
            cache = t.scratch / f"cache-{policy}-{cores}"
            prewarm(t, packed, "--cache", cache, "--jobs", cores, "--policy", policy, "/usr/bin/two")
            results.append([path.read_bytes() for path in (cache / "v1/objects").rglob("*")
                            if path.is_file() and path.suffix != ".meta"])
        t.equal(len(results[0]), 1)
        t.true(results[0] == results[1], f"two cores made other code of {policy}")


def test_another_build_of_ours_compiles_again(t):
    packed = image(t)
    t.equal(prewarm(t, packed, "/usr/bin/two")["compiled"], 1)
    harness.binary_for_anyone(t, "xaas")
    t.equal(prewarm(t, packed, "/usr/bin/two")["cached"], 1)
    worker = pathlib.Path(t.env["XAASFS_LIBEXEC"]) / "xaas-worker"
    t.run(["objcopy", "--remove-section", ".note.gnu.build-id", worker])
    t.equal(prewarm(t, packed, "/usr/bin/two")["compiled"], 1)


def test_two_at_once_compile_once(t):
    packed = image(t)
    running = [t.start([XAAS, "prewarm", "--json", packed], stdout=subprocess.PIPE)
               for _ in range(4)]
    told = [json.loads(process.communicate(timeout=120)[0]) for process in running]
    t.equal([process.returncode for process in running], [0] * 4)
    t.equal(sum(one["compiled"] for one in told), 3)
    t.equal(sum(one["cached"] for one in told), 9)
    t.equal(counters(t)["compiles"], 3)


def test_killed_in_mid_compile(t):
    packed = image(t)
    for delay in (0.01, 0.05, 0.1, 0.15, 0.2, 0.25):
        t.run([XAAS, "cache", "clear"])
        process = t.start([XAAS, "prewarm", packed])
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        t.contains(t.run([XAAS, "cache", "verify"]).stdout, "none damaged")
        told = prewarm(t, packed)
        t.equal((told["compiled"] + told["cached"], told["failed"]), (3, 0), f"after {delay} s")
        t.run([XAAS, "cache", "gc"])
        # Single files without a lock to tell by are removed when they are old.
        t.equal(list((t.cache / "v1" / "jobs").glob("job-*")), [])
        t.equal(list((t.cache / "v1" / "locks").iterdir()), [])


def listens(pid, number):
    """Whether process PID catches the signal NUMBER, or waits for it with a signalfd."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        masks = [int(line.split()[1], 16) for line in status if line.startswith(("SigCgt:", "SigBlk:"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


def test_interrupted(t):
    packed = image(t)
    process = t.start([XAAS, "prewarm", packed], stderr=subprocess.PIPE, text=True)
    # Before it listens, the signal would just end it.
    while process.poll() is None and not listens(process.pid, signal.SIGTERM):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    if process.returncode != 0:
        t.equal(process.returncode, 1)
        t.contains(said, "stopped by a signal")
    t.equal(prewarm(t, packed)["failed"], 0)


def test_damaged_object_is_compiled_again(t):
    packed = image(t)
    prewarm(t, packed, "/usr/bin/two")
    (found,) = [path for path in (t.cache / "v1" / "objects").rglob("*")
                if path.is_file() and path.suffix != ".meta"]
    found.chmod(0o600)
    with open(found, "r+b") as file:
        file.seek(100)
        file.write(b"\0\1\2\3")
    t.equal(states(prewarm(t, packed, "/usr/bin/two")), {"usr/bin/two": "compiled"})
    t.equal(counters(t)["damaged"], 1)


def test_an_image_without_programs(t):
    plain = t.squashfs({"greeting": b"hello\n"})
    t.contains(t.run([XAAS, "prewarm", plain]).stdout, "nothing to do: no portable program")
    done = t.run([XAAS, "prewarm", t.scratch / "missing.sqfs"], expect=1)
    t.contains(done.stderr, "missing.sqfs")
    t.run([XAAS, "prewarm"], expect=2)


def test_a_cache_that_keeps_nothing(t):
    """A full disk: the compiles succeed, and prewarm must not say that all is well."""
    harness.need_root()
    packed = image(t)
    small = t.scratch / "small"
    small.mkdir()
    t.run(["unshare", "--mount", "sh", "-c",
           f"mount -t tmpfs -o size=64k,mode=0700 none {small} && "
           f"{XAAS} prewarm --cache {small} {packed} 2> err; test $? = 1"])
    said = (t.scratch / "err").read_text()
    t.contains(said, "cannot compile usr/")
    t.contains(said, "the cache did not keep it")


harness.main()
