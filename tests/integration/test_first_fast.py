# SPDX-License-Identifier: Apache-2.0
"""-o first=fast: what can be compiled in the least time answers the first open, and the full compile
behind it those that find no other; on one inode, for everybody at once."""

import os
import subprocess

from harness.programs import HeldCompile, cache_stats, programs, state, workers
import harness


def mounted(t, *options, image=None):
    return t.mount(image or programs().lean, options=[f"cache={t.cache}", "first=fast", *options])


def is_full(path):
    return state(path).startswith("native ")


def facts(path):
    st = path.stat()
    return st.st_ino, st.st_size, st.st_mtime_ns, st.st_mode


def nice_values(pids):
    return [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids]


def settles_at(t, *wanted):
    """Objects in the cache, compiles and failed ones: a result is served before it is published."""
    def counts():
        stats = cache_stats(t)
        return stats["objects"], stats["compiles"], stats["compiles_failed"]
    t.wait_until(lambda: counts()[0] >= wanted[0], "publishing")
    t.equal(counts(), wanted, "objects, compiles, failed")


def test_the_full_one_follows(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    before = facts(slow)
    with open(slow, "rb") as file:
        full = HeldCompile(mount.pid)
        word, _, key = state(slow).partition(",")[0].split()
        t.equal(word, "fast", "tier")
        t.equal(state(slow).partition(",")[2], " full: compiling")
        fast = file.read()
        t.equal(t.run([slow]).stdout, "slow 1\n")
        full.release()
        t.wait_until(lambda: state(slow).endswith(", full: ready"), "the full compile")
        t.true(slow.read_bytes() == fast, "two tiers at a time")
        t.equal(t.run([slow]).stdout, "slow 1\n")
        t.equal(facts(slow), before, "stat of the fast one")
    t.wait_until(lambda: is_full(slow), "letting go")
    t.true(state(slow).split()[2] != key, "one key for two tiers")
    t.true(slow.read_bytes() != fast, "the tier did not change")
    t.equal(t.run([slow]).stdout, "slow 1\n")
    t.equal(facts(slow), before, "stat of the full one")
    settles_at(t, 2, 2, 0)
    mount.stop()


def test_libraries_come_fast_too(t):
    mount = mounted(t)
    hello = mount.path / "usr/bin/hello"
    t.contains(t.run([hello]).stdout, "42 ")
    t.wait_until(lambda: cache_stats(t)["compiles"] == 4, "the full compiles")
    t.wait_until(lambda: is_full(hello) and is_full(mount.path / "usr/lib/libtwice.so"), "letting go")
    t.contains(t.run([hello]).stdout, "42 ")
    settles_at(t, 4, 4, 0)
    mount.stop()


def test_what_nobody_waits_for_keeps_nobody_waiting(t):
    """Not even where there is one core, and so one compile at a time."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        mount = mounted(t)
    finally:
        os.sched_setaffinity(0, cores)
    with open(mount.path / "usr/bin/slow", "rb"):
        # Which a worker makes itself first of all.
        t.wait_until(lambda: 10 in nice_values(workers(mount.pid)), "a worker that is nice")
        full = HeldCompile(mount.pid)
        t.equal(set(nice_values(full.pids)), {10}, "nice values of it and what it has started")
        t.contains(t.run([mount.path / "usr/bin/hello"]).stdout, "42 ")
        t.true(state(mount.path / "usr/bin/slow").endswith(", full: compiling"), "it is over")
        full.release()
    t.wait_until(lambda: is_full(mount.path / "usr/bin/slow"), "the full compile")
    mount.stop()


def test_other_mounts_have_what_was_compiled_fast(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    t.equal(t.run([slow]).stdout, "slow 1\n")
    HeldCompile(mount.pid)
    mount.stop()
    settles_at(t, 1, 1, 0)
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    t.true(state(slow).endswith(", full: not begun"), state(slow))
    with open(slow, "rb"):
        full = HeldCompile(mount.pid)
        t.equal(t.run([slow]).stdout, "slow 1\n")
        settles_at(t, 1, 1, 0)
        full.release()
    t.wait_until(lambda: is_full(slow), "the full compile")
    mount.stop()


def test_without_the_option_it_plays_no_part(t):
    mount = mounted(t)
    t.equal(t.run([mount.path / "usr/bin/slow"]).stdout, "slow 1\n")
    HeldCompile(mount.pid)
    mount.stop()
    with t.mount(programs().lean, options=[f"cache={t.cache}", "first=full"]) as mnt:
        t.equal(state(mnt / "usr/bin/slow"), "portable")
        t.equal(t.run([mnt / "usr/bin/slow"]).stdout, "slow 1\n")
        t.true(is_full(mnt / "usr/bin/slow"), state(mnt / "usr/bin/slow"))


def test_prewarm_makes_the_full_one(t):
    t.run([harness.binary("xaas"), "prewarm", "--cache", t.cache, programs().lean, "usr/bin/slow"])
    settles_at(t, 1, 1, 0)
    with mounted(t) as mnt:
        t.true(is_full(mnt / "usr/bin/slow"), state(mnt / "usr/bin/slow"))
        t.equal(t.run([mnt / "usr/bin/slow"]).stdout, "slow 1\n")
    settles_at(t, 1, 1, 0)


def test_who_waits_for_a_fast_one_that_fails_gets_the_full_one(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    # By another command: Popen itself would wait until the program was opened.
    run = t.start(["env", slow], stdout=subprocess.PIPE, text=True)
    fast = HeldCompile(mount.pid)
    t.equal(state(slow), "compiling")
    fast.kill()
    out, _ = run.communicate(timeout=100)
    t.equal((run.returncode, out), (0, "slow 1\n"))
    t.wait_until(lambda: is_full(slow), "publishing")
    settles_at(t, 1, 1, 1)
    t.contains(mount.log, "compiled in full before it starts")
    mount.stop()


def test_a_full_one_that_fails_leaves_the_fast_one(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    with open(slow, "rb") as file:
        HeldCompile(mount.pid).kill()
        t.wait_until(lambda: ", full: failed " in state(slow), "the failure")
        t.contains(state(slow), "killed")
        t.true(state(slow).startswith("fast "), state(slow))
        fast = file.read()
    t.contains(mount.log, "what was compiled fast stays in use")
    # Or the next open would join this one: closing comes to the mount a moment later.
    t.wait_until(lambda: t.stats(mount.path)["open_files"]["fast"] == 0, "closing")
    # The machine may have been short of memory: it is tried again.
    with open(slow, "rb") as file:
        t.true(file.read() == fast, "it is not the fast one")
        t.equal(t.run([slow]).stdout, "slow 1\n")
        t.wait_until(lambda: state(slow).endswith(", full: ready"), "the second attempt")
    t.wait_until(lambda: is_full(slow), "letting go")
    settles_at(t, 2, 2, 1)
    mount.stop()


def test_whoever_has_no_patience_gets_the_generic_one(t):
    """Which is there at once: nothing is compiled twice for the sake of it."""
    mount = mounted(t, "patience=0", image=programs().image)
    slow = mount.path / "usr/bin/slow"
    with open(slow, "rb"):
        t.true(state(slow).startswith("baseline "), state(slow))
        t.equal(t.run([slow]).stdout, "slow 1\n")
    t.wait_until(lambda: is_full(slow), "the compile")
    settles_at(t, 1, 1, 0)
    mount.stop()


def test_a_first_that_there_is_not(t):
    done = t.xaasfs("-o", "first=last", programs().lean, t.scratch)
    t.true(done.returncode != 0, "it mounted")
    t.contains(done.stderr, "option first=last: it takes fast or full")


if __name__ == "__main__":
    harness.main()
