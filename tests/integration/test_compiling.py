# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a compile while it runs."""

import json
import os
import pathlib
import signal
import subprocess

import harness
from harness.programs import HeldCompile, descendants, many_modules, programs

MODULES = 12


def status(t, mount):
    return json.loads(t.run([harness.binary("xaas"), "status", "--json", mount.path]).stdout)


def compiles(t, mount):
    return {compile["path"]: compile for compile in status(t, mount)["compiles"]}


def results(t):
    """Results of modules that ld.lld has left so far."""
    return [path for path in t.cache.glob("v1/jobs/*/cache/llvmcache-*") if not path.is_symlink()]


def hold(pid):
    """Stops everything below PID but the spawner, which must see the mount's end."""
    held = [child for child in descendants(pid)
            if b"spawner" not in pathlib.Path(f"/proc/{child}/comm").read_bytes()]
    for child in held:
        os.kill(child, signal.SIGSTOP)
    return held


def test_modules_are_counted_as_they_are_done(t):
    mount = t.mount(many_modules(t, MODULES), options=[f"cache={t.cache}"])
    opener = t.start(["cat", mount.path / "usr/bin/many"], stdout=subprocess.DEVNULL)
    t.wait_until(lambda: results(t), "a module's result")
    held = hold(mount.pid)
    seen = compiles(t, mount)["/usr/bin/many"]
    t.equal(seen["modules"], MODULES, "modules")
    t.equal((seen["phase"], seen["opens"], seen["modules_reusable"]), ("linking", 1, 0))
    t.equal(seen["modules_compiled"], len(results(t)), "results on disk and modules told")
    t.true(0 < seen["modules_compiled"] < MODULES, seen)
    t.contains(t.run([harness.binary("xaas"), "status", mount.path]).stdout,
               f"compiling    /usr/bin/many: linking, {seen['modules_compiled']} of "
               f"{MODULES} modules, ")
    for child in held:
        os.kill(child, signal.SIGCONT)
    t.equal(opener.wait(100), 0)
    t.wait_until(lambda: compiles(t, mount) == {}, "the end of it")
    mount.stop()


def test_what_another_mount_compiles_is_waited_for(t):
    options = [f"cache={t.cache}"]
    first, second = (t.mount(programs().image, options=options) for _ in range(2))
    openers = [t.start(["cat", first.path / "usr/bin/slow"], stdout=subprocess.DEVNULL)]
    held = HeldCompile(first.pid)
    openers.append(t.start(["cat", second.path / "usr/bin/slow"], stdout=subprocess.DEVNULL))
    t.wait_until(lambda: compiles(t, second), "a second wait")
    t.wait_until(lambda: compiles(t, second)["/usr/bin/slow"]["phase"] ==
                 "waiting for another process", "waiting for the first mount")
    t.true("modules" not in compiles(t, second)["/usr/bin/slow"], "it knows nothing of modules")
    held.release()
    for opener in openers:
        t.equal(opener.wait(100), 0)
    for mount in (first, second):
        mount.stop()


def test_libraries_start_when_the_program_is_opened(t):
    mount = t.mount(programs().image, options=[f"cache={t.cache}"])
    # Nobody runs it, so no loader asks for the library.
    opener = t.start(["cat", mount.path / "usr/bin/hello"], stdout=subprocess.DEVNULL)
    t.equal(opener.wait(100), 0)
    library = mount.path / "usr/lib/libtwice.so"
    t.wait_until(lambda: os.getxattr(library, "user.xaasfs.state").split()[0] == b"native",
                 "the library's compile")
    t.equal(os.getxattr(library, "user.xaasfs.opens"), b"0", "opens of the library")
    mount.stop()


def test_who_waits_for_nobody_is_shown_too(t):
    mount = t.mount(programs().image, options=[f"cache={t.cache}", "patience=0"])
    opener = t.start(["cat", mount.path / "usr/bin/slow"], stdout=subprocess.DEVNULL)
    held = HeldCompile(mount.pid)
    t.equal(opener.wait(100), 0)
    seen = compiles(t, mount)["/usr/bin/slow"]
    t.equal(seen["opens"], 0, "opens that wait")
    t.equal((status(t, mount)["programs_waited_for"], status(t, mount)["programs_compiling"]), (0, 1))
    held.release()
    t.wait_until(lambda: compiles(t, mount) == {}, "the end of it")
    mount.stop()


harness.main()
