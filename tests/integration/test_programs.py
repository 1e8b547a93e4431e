# SPDX-License-Identifier: Apache-2.0
"""Portable objects through the mount: what is served, when, and what nobody has to wait for."""

import contextlib
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import harness
from harness.programs import HeldCompile, cache_stats, descendants, programs, state, workers


def start(t, *command, **how):
    """Starts COMMAND without waiting for its exec, which may itself wait for a compile."""
    return t.start(["env", *command], **how)


def is_blocked(process):
    """Whether the process waits for an answer from the mount."""
    try:
        return "request_wait_answer" in pathlib.Path(f"/proc/{process.pid}/wchan").read_text()
    except OSError:
        return False


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def mounted(t, *options, image=None, **how):
    return t.mount(image or programs().image, options=[f"cache={t.cache}", *options], **how)


def test_first_open_compiles_and_later_ones_do_not(t):
    mount = mounted(t)
    hello, library = mount.path / "usr/bin/hello", mount.path / "usr/lib/libtwice.so"
    before = hello.stat()
    t.equal(state(hello), "portable")
    t.contains(t.run([hello]).stdout, "42 ")
    t.equal(state(hello).split()[0], "native")
    t.equal(state(library).split()[0], "native")
    t.equal(state(hello).split()[2], os.getxattr(hello, "user.xaasfs.key").decode())
    first = cache_stats(t)
    t.equal((first["compiles"], first["compiles_failed"]), (2, 0))
    t.run([hello])
    second = cache_stats(t)
    t.equal(second["compiles"], 2)
    t.equal(second["misses"], first["misses"], "misses")
    t.true(second["hits"] > first["hits"], "the second run hit nothing")
    after = hello.stat()
    t.equal((before.st_size, before.st_blocks, before.st_ino, before.st_mtime),
            (after.st_size, after.st_blocks, after.st_ino, after.st_mtime), "stat")
    t.equal(len(hello.read_bytes()), before.st_size, "bytes")
    generic = (programs().root.inside("/usr/bin/hello")).stat().st_size
    t.true(before.st_size > generic and before.st_size % 65536 == 0, f"size {before.st_size}")
    mount.stop()
    with mounted(t) as mnt:
        t.run([mnt / "usr/bin/hello"])
    t.equal(cache_stats(t)["compiles"], 2, "compiles of the second mount")


def test_what_the_mount_hides_and_tells(t):
    with mounted(t) as mnt:
        t.true(".xaas" not in os.listdir(mnt), ".xaas is listed")
        t.true(not (mnt / ".xaas").exists(), ".xaas can be looked up")
        t.true(not (mnt / ".xaas/bundle").exists(), "the bundle can be looked up")
        t.equal(mnt.stat().st_nlink, programs().root.path.stat().st_nlink, "links of the root")
        hello = mnt / "usr/bin/hello"
        t.equal(os.listxattr(hello), [], "listed attributes")
        for path in (mnt / "etc/ordinary", mnt / "usr"):
            try:
                state(path)
                t.true(False, f"{path} has a state")
            except OSError as error:
                t.contains(str(error), "No data available")
        try:
            os.open(hello, os.O_RDWR)
            t.true(False, "a program was opened for writing")
        except OSError as error:
            t.contains(str(error), "Read-only file system")
        t.equal((mnt / "etc/ordinary").read_text(), "ordinary\n")


def test_opens_and_policies_are_told(t):
    def told(path, what):
        return os.getxattr(path, f"user.xaasfs.{what}").decode()

    with mounted(t, "fp=strict") as mnt:
        hello, slow = mnt / "usr/bin/hello", mnt / "usr/bin/slow"
        t.equal((told(hello, "opens"), told(hello, "policy")), ("0", "opt=3,fp=strict"))
        for _ in range(3):
            hello.read_bytes()
        t.equal((told(hello, "opens"), told(slow, "opens")), ("3", "0"))
        inspect = [harness.binary("xaas"), "inspect"]
        seen = json.loads(t.run([*inspect, "--json", hello]).stdout)
        t.equal(seen["mounted"], {"state": state(hello), "policy": "opt=3,fp=strict",
                                  "key": told(hello, "key"), "opens": "4"})
        shown = t.run([*inspect, hello]).stdout
        t.contains(shown, "  policy: opt=3,fp=strict\n")
        t.contains(shown, "  state: native ")
        t.equal(json.loads(t.run([*inspect, "--json", mnt / "usr/bin/cat"]).stdout)["kind"], "elf")
    with mounted(t) as mnt:
        (mnt / "usr/bin/hello").read_bytes()
    listed = json.loads(t.run([harness.binary("xaas"), "cache", "list", "--json"]).stdout)
    hellos = [entry for entry in listed if entry["program"] == "usr/bin/hello"]
    t.equal([entry["policy"] for entry in hellos], ["opt=3", "opt=3,fp=strict"], "last used first")
    t.contains(t.run([harness.binary("xaas"), "cache", "list"]).stdout, "opt=3,fp=strict")


def test_waiting_opens_hold_nothing(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    # More than the mount has threads.
    openers = [start(t, slow, stdout=subprocess.PIPE, text=True) for _ in range(100)]
    held = HeldCompile(mount.pid)
    t.wait_until(lambda: all(map(is_blocked, openers)), "waiting")
    t.equal(state(slow), "compiling")
    # Each of these needs an answer from the mount, and none can wait for the compile.
    t.run(["find", mount.path, "-printf", "%s"])
    t.run(["ls", "-l", mount.path / "usr/bin"])
    t.equal((mount.path / "etc/ordinary").read_text(), "ordinary\n")
    t.contains(t.run([mount.path / "usr/bin/cat", mount.path / "etc/ordinary"]).stdout, "ordinary")
    t.true(all(map(is_blocked, openers)), "an opener did not wait")
    held.release()
    for opener in openers:
        out, _ = opener.communicate(timeout=100)
        t.equal((opener.returncode, out), (0, "slow 1\n"))
    t.equal(cache_stats(t)["compiles"], 1 + 0, "compiles")


def test_two_mounts_and_ten_processes_compile_once(t):
    mounts = [mounted(t) for _ in range(2)]
    runs = [start(t, mount.path / "usr/bin/slow", stdout=subprocess.PIPE, text=True)
            for mount in mounts for _ in range(10)]
    for run in runs:
        out, _ = run.communicate(timeout=100)
        t.equal((run.returncode, out), (0, "slow 1\n"))
    stats = cache_stats(t)
    t.equal((stats["compiles"], stats["objects"]), (1, 1))
    for mount in mounts:
        mount.stop()


def test_a_killed_opener_is_gone_at_once(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    victims = [start(t, slow) for _ in range(4)]
    survivor = start(t, slow, stdout=subprocess.PIPE, text=True)
    held = HeldCompile(mount.pid)
    t.wait_until(lambda: all(map(is_blocked, [*victims, survivor])), "waiting")
    numbers = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    for victim, number in zip(victims, numbers):
        victim.send_signal(number)
    for victim, number in zip(victims, numbers):
        t.equal(victim.wait(60), -number, "end")
    t.true(is_blocked(survivor), "the survivor did not go on waiting")
    held.release()
    out, _ = survivor.communicate(timeout=100)
    t.equal(out, "slow 1\n")


OPEN_WITH_TIMER = """
import ctypes, os, signal, sys, threading, time
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.open(sys.argv[1].encode(), os.O_RDONLY)
print("opened" if fd >= 0 else os.strerror(ctypes.get_errno()), flush=True)
"""


def test_harmless_signals_do_not_disturb_an_open(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    openers = [t.start(["python3", "-c", OPEN_WITH_TIMER, slow], stdout=subprocess.PIPE, text=True)
               for _ in range(2)]
    held = HeldCompile(mount.pid)
    t.wait_until(lambda: all(map(is_blocked, openers)), "waiting")
    # Several timer signals have come by the time that this one was told of the first.
    time.sleep(0.3)
    t.true(all(map(is_blocked, openers)), "a timer ended an open")
    # The kernel tells of the first signal only; a fatal one that comes later counts all the same.
    openers[0].kill()
    t.equal(openers[0].wait(60), -signal.SIGKILL)
    t.true(is_blocked(openers[1]), "a timer ended an open")
    held.release()
    out, _ = openers[1].communicate(timeout=100)
    t.equal(out, "opened\n")


def test_a_killed_worker_means_the_baseline_and_then_another_try(t):
    mount = mounted(t)
    slow = mount.path / "usr/bin/slow"
    run = start(t, slow, stdout=subprocess.PIPE, text=True)
    HeldCompile(mount.pid).kill()
    # It may be tried at once again.
    while again := workers(mount.pid):
        for worker in again:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.05)
    out, _ = run.communicate(timeout=100)
    t.equal((run.returncode, out), (0, "slow 1\n"))
    t.true(state(slow).startswith("failed "), state(slow))
    t.contains(mount.log, "usr/bin/slow")
    mount.stop()
    with mounted(t) as mnt:
        t.equal(t.run([mnt / "usr/bin/slow"]).stdout, "slow 1\n")
        t.wait_until(lambda: state(mnt / "usr/bin/slow").startswith("native "), "publishing")


def test_a_killed_mount_leaves_nothing_behind(t):
    mount = mounted(t)
    run = start(t, mount.path / "usr/bin/slow", stderr=subprocess.PIPE, text=True)
    held = HeldCompile(mount.pid)
    family = descendants(mount.pid)
    t.true(held.pids[0] in family, "the worker is not the mount's")
    mount.kill()
    t.true(run.wait(60) != 0, "the opener ran something")
    t.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family if not is_zombie(pid)),
               "the end of its processes")
    mount.tear_down()
    t.equal(cache_stats(t)["objects"], 0, "objects")
    with mounted(t) as mnt:
        t.equal(t.run([mnt / "usr/bin/slow"]).stdout, "slow 1\n")


def is_zombie(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_unmounting_in_mid_compile(t):
    for end in ("two SIGTERMs", "umount -l and nobody left"):
        mount = mounted(t)
        run = start(t, mount.path / "usr/bin/slow")
        HeldCompile(mount.pid)
        t.wait_until(lambda: is_blocked(run), "waiting")
        if end == "two SIGTERMs":
            os.kill(mount.pid, signal.SIGTERM)
            t.wait_until(lambda: not os.path.ismount(mount.path), "detaching")
            os.kill(mount.pid, signal.SIGTERM)
        else:
            t.run(["umount" if os.geteuid() == 0 else "fusermount3", *(["-l"] if os.geteuid() == 0 else ["-uz"]), mount.path])
            run.kill()
        t.true(run.wait(60) != 0, "the opener ran something")
        t.wait_until(lambda: not os.path.exists(f"/proc/{mount.pid}") or is_zombie(mount.pid), end)
        t.equal(workers(mount.pid), [], "workers")


def test_patience(t):
    mount = mounted(t, "patience=0")
    slow = mount.path / "usr/bin/slow"
    with open(slow, "rb") as file:
        held = HeldCompile(mount.pid)
        t.true(state(slow).startswith("baseline "), state(slow))
        generic = t.run(["unsquashfs", "-cat", programs().image, "usr/bin/slow"], binary=True).stdout
        served = file.read()
        t.equal(len(served), slow.stat().st_size)
        t.true(served == generic.ljust(len(served), b"\0"), "not the generic program and zeroes")
        t.equal(t.run([slow]).stdout, "slow 1\n")
        held.release()
        t.wait_until(lambda: cache_stats(t)["objects"] == 1, "the compile")
        # Somebody still has the file: everybody gets the same.
        t.true(slow.read_bytes() == served, "two tiers at a time")
        t.true(state(slow).startswith("baseline "), state(slow))
    t.wait_until(lambda: state(slow).startswith("native "), "letting go")
    t.true(slow.read_bytes() != served, "the native program is the generic one")
    t.equal(t.run([slow]).stdout, "slow 1\n")


def test_patience_that_runs_out(t):
    mount = mounted(t, "patience=0.2")
    slow = mount.path / "usr/bin/slow"
    run = start(t, slow, stdout=subprocess.PIPE, text=True)
    held = HeldCompile(mount.pid)
    out, _ = run.communicate(timeout=60)
    t.equal((run.returncode, out), (0, "slow 1\n"))
    held.release()
    t.wait_until(lambda: state(slow).startswith("native "), "the compile")


def damaged_bundle(t, image):
    """The image with a byte changed in the middle of a module of the bundle."""
    tree = t.scratch / "unpacked"
    t.run(["unsquashfs", "-quiet", "-no-progress", "-d", tree, image])
    bundle = tree / ".xaas/bundle"
    bundle.chmod(0o600)
    content = bytearray(bundle.read_bytes())
    # Largest part by far: the modules of the slow program.
    for at in range(len(content) // 4, len(content) * 3 // 4, 199):
        content[at] ^= 0x55
    bundle.write_bytes(content)
    copy = t.scratch / "copy.sqfs"
    t.run(["mksquashfs", tree, copy, "-quiet", "-no-progress"])
    return copy


def test_what_cannot_be_compiled(t):
    image = damaged_bundle(t, programs().image)
    mount = mounted(t, image=image)
    # Whichever of them it hit, all of them run.
    t.contains(t.run([mount.path / "usr/bin/hello"]).stdout, "42 ")
    t.equal(t.run([mount.path / "usr/bin/slow"]).stdout, "slow 1\n")
    slow = mount.path / "usr/bin/slow"
    t.true(state(slow).startswith("failed "), state(slow))
    t.contains(mount.log, "usr/bin/slow")
    mount.stop()


def test_what_cannot_be_compiled_in_a_lean_image(t):
    image = damaged_bundle(t, programs().lean)
    mount = mounted(t, image=image)
    slow = mount.path / "usr/bin/slow"
    for attempt in range(2):
        try:
            slow.read_bytes()
            t.true(False, "a lean image served something that was not compiled")
        except OSError as error:
            t.contains(str(error), "Input/output error")
    t.true(state(slow).startswith("failed "), state(slow))
    t.contains(mount.log, "usr/bin/slow")
    mount.stop()


def test_lean_images_run(t):
    with mounted(t, image=programs().lean) as mnt:
        t.contains(t.run([mnt / "usr/bin/hello"]).stdout, "42 ")


def copies_keep_the_tail(t, mnt):
    slow = mnt / "usr/bin/slow"
    t.equal(t.run([slow]).stdout, "slow 1\n")
    digest, size = sha256(slow), slow.stat().st_size
    t.equal(t.run(["sha256sum", slow]).stdout.split()[0], digest)
    for how in ("auto", "always", "never"):
        copy = t.scratch / f"copy-{how}"
        t.run(["cp", f"--sparse={how}", slow, copy])
        t.equal(sha256(copy), digest, how)
    t.true((t.scratch / "copy-auto").stat().st_blocks * 512 < size * 3 // 4,
           "cp wrote the tail out although it is a hole")
    for flags in ("-cf", "-cSf"):
        t.run(["tar", flags, t.scratch / "a.tar", "-C", slow.parent, "slow"])
        (t.scratch / "out").mkdir(exist_ok=True)
        t.run(["tar", "-xf", t.scratch / "a.tar", "-C", t.scratch / "out"])
        t.equal(sha256(t.scratch / "out/slow"), digest, flags)
    t.equal(t.run([t.scratch / "out/slow"]).stdout, "slow 1\n")


def test_copies_with_passthrough(t):
    harness.need_root()
    mount = mounted(t)
    copies_keep_the_tail(t, mount.path)
    t.true("page cache" not in mount.log, mount.log)
    mount.stop()


def test_copies_of_the_baseline(t):
    mount = mounted(t, "patience=0")
    slow = mount.path / "usr/bin/slow"
    with open(slow, "rb"):
        copies_keep_the_tail(t, mount.path)
        t.true(state(slow).startswith("baseline "), state(slow))
    mount.stop()


def test_cache_on_an_overlay_is_served_through_the_page_cache(t):
    harness.need_root()
    (t.scratch / "lower").mkdir()
    with harness.overlay(t, t.scratch / "lower") as merged:
        mount = t.mount(programs().image, options=[f"cache={merged}/cache"])
        copies_keep_the_tail(t, mount.path)
        t.contains(mount.log, "page cache")
        t.contains(t.run([mount.path / "usr/bin/hello"]).stdout, "42 ")
        mount.stop()


def hammer(t, mount, cache, n, rng):
    """N processes, 32 at a time, some of which are killed, while the cache is emptied now and then."""
    slow, hello = mount.path / "usr/bin/slow", mount.path / "usr/bin/hello"
    kinds = [[slow], [hello], ["cat", hello], ["sha256sum", slow], ["find", mount.path],
             ["getfattr", "-n", "user.xaasfs.state", slow], ["cp", slow, t.scratch / "copy"]]
    running, killed, failures = [], set(), []
    for number in range(n):
        running.append(start(t, *rng.choice(kinds), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        if rng.random() < 0.1:
            victim = rng.choice(running)
            victim.kill()
            killed.add(victim.pid)
        if number % 200 == 100:
            t.run([harness.binary("xaas"), "cache", "clear", "--cache", cache])
        while len(running) >= 32 or (number == n - 1 and running):
            for process in [process for process in running if process.poll() is not None]:
                running.remove(process)
                # cp onto the same copy from several processes may fail by itself.
                if process.returncode and process.pid not in killed and process.args[1] != "cp":
                    failures.append((process.args, process.returncode, process.stderr.read()))
                process.stderr.close()
            time.sleep(0.002)
    t.equal(failures, [], "failures")


def test_many_processes_some_killed_and_the_cache_emptied(t):
    seed = int(os.environ.get("XAASFS_TEST_SEED", time.time()))
    print(f"XAASFS_TEST_SEED={seed}")
    for options in ("patience=0", "patience=0.05", "patience=1000"):
        cache = t.scratch / options
        mount = t.mount(programs().image, options=[f"cache={cache}", options])
        hammer(t, mount, cache, 500, random.Random(seed))
        mount.stop()


def test_bubblewrap(t):
    bwrap = harness.need_command("bwrap")
    with mounted(t) as mnt:
        done = t.run([bwrap, "--ro-bind", mnt, "/", "--proc", "/proc", "--dev", "/dev",
                      "--tmpfs", "/tmp", "--unshare-all", "/usr/bin/hello"], expect=None)
        if "namespace" in done.stderr and "not permitted" in done.stderr:
            harness.skip("this machine gives bubblewrap no namespaces")
        t.equal((done.returncode, done.stdout), (0, "42 /usr/bin/hello\n"), done.stderr)


harness.main()
