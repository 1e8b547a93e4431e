# SPDX-License-Identifier: Apache-2.0
"""What all compiles of a mount together may take of the machine."""

import contextlib
import json
import os
import pathlib
import subprocess

import harness
from harness.programs import HeldCompile, descendants, programs, state, workers

HUGE = """
#include <stdio.h>
const unsigned char data[] = {
#embed "data"
};
int main(int argc, char **argv)
{
        printf("%d\\n", data[(unsigned)argc * 7919]);
        return 0;
}
"""


def huge_image(t):
    """Its one program has a module of 24 MiB, which the compiler holds several times."""
    source = t.scratch / "source"
    source.mkdir()
    (source / "data").write_bytes(bytes(range(256)) * (24 << 12))
    (source / "huge.c").write_text(HUGE)
    root = t.rootfs("huge")
    t.run([harness.BUILD / "libexec/xaas-cc", "-O1", "-w", "huge.c", "-o",
           root.inside("/usr/bin/huge")], cwd=source)
    image = t.scratch / "huge.sqfs"
    t.run([harness.binary("xaas"), "pack", "--quiet", root.path, image])
    return image


def test_what_needs_too_much_memory_is_served_as_it_is(t):
    if "-fsanitize" in (harness.BUILD / "build.ninja").read_text():
        harness.skip("a sanitized worker has no limit of memory")
    image = huge_image(t)
    with t.mount(image, options=[f"cache={t.cache}", "jit_mem=64M"]) as mnt:
        huge = mnt / "usr/bin/huge"
        with open(huge, "rb") as file:
            first = state(huge)
            generic = file.read()
        t.contains(first, "ran out of memory, although it was compiled alone and all compiles may "
                          "use 64.0 MiB (jit_mem)")
        expected = t.run([huge]).stdout
    prewarm = [harness.binary("xaas"), "prewarm", "--cache", t.cache]
    done = t.run([*prewarm, "--jit-mem", "64M", image], expect=1)
    t.contains(done.stderr, "all compiles may use 64.0 MiB (jit_mem); its generic build is served")
    # With what there is by default it can be compiled.
    t.run([*prewarm, image])
    with t.mount(image, options=[f"cache={t.cache}"]) as mnt:
        huge = mnt / "usr/bin/huge"
        t.equal(t.run([huge]).stdout, expected, "what it prints")
        t.equal(state(huge).split()[0], "native")
        t.true(huge.read_bytes() != generic, "the generic program was served again")


def test_large_stacks_are_no_lack_of_memory(t):
    # Clusters raise this limit for Fortran; a thread of the compiler has no use for it.
    harness.need_root()
    t.run(["sh", "-c", f"ulimit -s 1000000 && exec {harness.binary('xaas')} prewarm --jit-mem 64M "
                       f"--cache {t.cache} {programs().image} /usr/bin/hello"])


def test_sizes_that_cannot_be(t):
    for wrong, words in (("1M", "no program can be compiled with so little; give at least 64.0 MiB"),
                         ("much", "not a size")):
        done = t.xaasfs("-o", f"jit_mem={wrong}", programs().image, t.scratch)
        t.equal(done.returncode, 2)
        t.contains(done.stderr, f"option jit_mem={wrong}: {words}")
        done = t.run([harness.binary("xaas"), "prewarm", "--jit-mem", wrong, programs().image],
                     expect=None)
        t.equal(done.returncode, 2)
        t.contains(done.stderr, f"--jit-mem takes a size from 64M on, not {wrong}")


def pool(t, mount):
    return json.loads(t.run([harness.binary("xaas"), "status", "--json", mount.path]).stdout)["pool"]


def list_of(numbers):
    return ",".join(map(str, numbers))


def units():
    """Processing units that we may use: two at least."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        harness.skip("this machine has one core")
    return allowed


def allowed_units(pid):
    """Those that process PID may use."""
    return sorted(os.sched_getaffinity(pid))


def linkers(pid):
    """What those that run now below PID were told: numbers of threads."""
    told = []
    for child in descendants(pid):
        with contextlib.suppress(OSError):
            line = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            told += [int(word.split(b"=")[1]) for word in line if word.startswith(b"--threads=")]
    return told


def linker_threads(t, mount):
    """How many threads ld.lld was told to use for a program of MOUNT that is compiled now."""
    opener = t.start(["cat", mount.path / "usr/bin/slow"], stdout=subprocess.DEVNULL)
    found = []
    t.wait_until(lambda: found.extend(linkers(mount.pid)) or found, "a linker")
    t.equal(opener.wait(100), 0)
    return set(found)


def test_compiles_stay_on_the_cores_that_are_given(t):
    everything = units()
    for number, (wish, expected) in enumerate((
            (str(everything[-1]), everything[-1:]),
            (f"not:{everything[-1]}", everything[:-1]))):
        mount = t.mount(programs().image, options=[f"cache={t.scratch}/cache{number}",
                                                   f"jit_cores={wish}"])
        t.equal(pool(t, mount)["threads"], len(expected), "threads")
        opener = t.start(["cat", mount.path / "usr/bin/slow"], stdout=subprocess.DEVNULL)
        held = HeldCompile(mount.pid)
        seen = {pid: allowed_units(pid) for pid in descendants(mount.pid)}
        t.true(set(held.pids) <= set(seen), "the worker was looked at")
        memory = pathlib.Path(f"/proc/{held.pids[0]}/numa_maps")
        if memory.exists():
            t.true(memory.read_text().split()[1].startswith(("prefer", "bind")), "where memory is from")
        t.equal(set(map(tuple, seen.values())), {tuple(expected)}, "cores of all that compiles")
        # Reads are not confined to them.
        t.equal(allowed_units(mount.pid), everything, "cores of the mount itself")
        held.release()
        t.equal(opener.wait(100), 0)
        mount.stop()


def test_prewarm_on_given_cores(t):
    first = units()[0]
    command = [harness.binary("xaas"), "prewarm", "--cache", t.cache, "--jit-cores", str(first),
               programs().image]
    run = t.start(command, stdout=subprocess.DEVNULL)
    held = HeldCompile(run.pid)
    t.equal({tuple(allowed_units(pid)) for pid in held.pids}, {(first,)})
    held.release()
    t.equal(run.wait(100), 0)


def test_all_workers_together_have_as_many_threads_as_were_given(t):
    # Three programs; where each worker took all there is, two at the same time would have four.
    run = t.start([harness.binary("xaas"), "prewarm", "--cache", t.cache, "-j", "2",
                   programs().image], stdout=subprocess.DEVNULL)
    seen = []
    while run.poll() is None:
        seen.append(sum(linkers(run.pid)))
    t.equal(run.returncode, 0)
    t.true(0 < max(seen) <= 2, f"{max(seen)} threads at the same time")


def test_full_lto_keeps_to_as_many_cores_as_were_given(t):
    units()
    run = t.start([harness.binary("xaas"), "prewarm", "--cache", t.cache, "-j", "1", "--lto", "full",
                   programs().image, "/usr/bin/slow"], stdout=subprocess.DEVNULL)
    t.wait_until(lambda: linkers(run.pid), "a linker")
    with contextlib.suppress(OSError):
        t.true(all(len(allowed_units(pid)) == 1 for pid in workers(run.pid)), "cores")
    t.equal(run.wait(100), 0)


def test_cores_that_cannot_be(t):
    everything = sorted(os.sched_getaffinity(0))
    beyond = everything[-1] + 1
    for wrong, words in ((f"{everything[0]}-{beyond}", f"this process may not run on {beyond}"),
                         ("some", "no list of cores; this process may run on "),
                         ("1-", "no list of cores"), ("0x1", "no list of cores"),
                         ("99999999", "no list of cores"),
                         ("not:" + list_of(everything).replace(",", "\\,"), "that leaves no core")):
        done = t.xaasfs("-o", f"jit_cores={wrong}", programs().image, t.scratch)
        t.equal(done.returncode, 2, wrong)
        t.contains(done.stderr, f"option jit_cores={wrong}: {words}".replace("\\", ""))
    done = t.run([harness.binary("xaas"), "prewarm", "--jit-cores", str(beyond), programs().image],
                 expect=None)
    t.equal(done.returncode, 2)
    t.contains(done.stderr, f"this process may not run on {beyond}")


def wrapped(t, text):
    """xaasfs, started by shell code TEXT that ends with: exec "$@"."""
    program = t.scratch / "wrapped"
    program.write_text(f"#!/bin/sh\nset -- {harness.binary('xaasfs')} \"$@\"\n{text}\n")
    program.chmod(0o755)
    mount = harness.Mount(programs().image, t.scratch / "mnt", t.env, t.scratch / "log",
                          [f"cache={t.cache}"], program=program)
    t.mounts.append(mount)
    return mount


def test_as_many_threads_as_affinity_leaves(t):
    first = units()[0]
    mount = wrapped(t, f'exec taskset -c {first} "$@"')
    t.equal(pool(t, mount)["threads"], 1)
    t.equal(linker_threads(t, mount), {1})
    mount.stop()


@contextlib.contextmanager
def control_group(controller, limits):
    """A control group with LIMITS, by version 1's and 2's names of files; the file to join it with."""
    harness.need_root()
    for top, names in ((pathlib.Path("/sys/fs/cgroup") / controller, limits[0]),
                       (pathlib.Path("/sys/fs/cgroup"), limits[1])):
        folder = top / f"xaasfs-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            folder.mkdir()
            break
    else:
        harness.skip("no control group can be made here")
    try:
        for name, value in names.items():
            if not (folder / name).exists():
                harness.skip(f"control groups here have no {name}")
            (folder / name).write_text(value)
        yield folder / "cgroup.procs"
    finally:
        folder.rmdir()


def test_as_many_threads_as_a_quota_grants(t):
    units()
    limits = {"cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "50000"}, {"cpu.max": "50000 50000"}
    with control_group("cpu", limits) as join:
        mount = wrapped(t, f'echo $$ >{join}\nexec "$@"')
        t.equal(pool(t, mount)["threads"], 1)
        t.equal(linker_threads(t, mount), {1})
        mount.stop()
        t.wait_until(lambda: not join.read_text(), "all that was in the group has ended")


def test_as_much_memory_as_a_control_group_grants(t):
    limit = 1 << 30
    limits = {"memory.limit_in_bytes": str(limit)}, {"memory.max": str(limit)}
    with control_group("memory", limits) as join:
        mount = wrapped(t, f'echo $$ >{join}\nexec "$@"')
        t.equal(pool(t, mount)["memory_bytes"], limit // 4 * 3)
        mount.stop()
        t.wait_until(lambda: not join.read_text(), "all that was in the group has ended")


harness.main()
