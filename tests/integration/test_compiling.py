# SPDX-License-Identifier: Apache-2.0
"""What can be seen of a compile while it runs."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import termios

import harness
from harness.programs import HeldCompile, descendants, many_modules, programs

MODULES = 8


def status(t, mount):
    return json.loads(t.run([harness.binary("xaas"), "status", "--json", mount.path]).stdout)


def compiles(t, mount):
    return {compile["path"]: compile for compile in status(t, mount)["compiles"]}


def results(t):
    """Results of modules that ld.lld has left so far."""
    return [path for path in t.cache.glob("v1/jobs/*/cache/llvmcache-*") if not path.is_symlink()]


def stands_still(pid):
    """Whether each thread of the process has been stopped: it takes a moment on a busy machine."""
    stats = [stat.read_text().rpartition(")")[2].split() for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(fields[0] == "T" for fields in stats)


def hold(t, pid):
    """Stops the worker below PID and the linker that it runs."""
    held = [child for child in descendants(pid)
            if pathlib.Path(f"/proc/{child}/comm").read_text().strip() in ("xaas-worker", "lld", "ld.lld")]
    for child in held:
        os.kill(child, signal.SIGSTOP)
    t.wait_until(lambda: all(map(stands_still, held)), "standing still")
    return held


def test_modules_are_counted_as_they_are_done(t):
    mount = t.mount(many_modules(t, MODULES), options=[f"cache={t.cache}", "fp=strict"])
    opener = t.start(["cat", mount.path / "usr/bin/many"], stdout=subprocess.DEVNULL)
    t.wait_until(lambda: results(t), "a module's result")
    held = hold(t, mount.pid)
    seen = compiles(t, mount)["/usr/bin/many"]
    t.equal(seen["modules"], MODULES, "modules")
    t.equal((seen["phase"], seen["opens"], seen["modules_reusable"]), ("linking", 1, 0))
    t.equal(seen["policy"], "opt=3,fp=strict")
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


class Terminal:
    """A pseudo terminal, and what has been written to it."""

    def __init__(self):
        self._master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        os.set_blocking(self._master, False)
        self.text = ""

    def start(self, command, stderr=None):
        """Starts COMMAND as people do, with this as its controlling terminal and its stderr."""
        def take():
            os.setsid()
            fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)
        return subprocess.Popen(list(map(str, command)), preexec_fn=take, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=stderr or self._slave)

    def read(self):
        with contextlib.suppress(BlockingIOError):
            self.text += os.read(self._master, 65536).decode()
        return self.text


def hold_for_long(t, mount, openers):
    """Holds the compile until its openers have waited for longer than it takes to be told."""
    held = HeldCompile(mount.pid)
    t.wait_until(lambda: status(t, mount)["open_files"]["waiting"] == openers, "waiting")
    t.wait_until(lambda: list(compiles(t, mount).values())[0]["seconds"] > 4, "time passing")
    return held


def end(t, mount, held, openers):
    held.release()
    for opener in openers:
        t.equal(opener.wait(100), 0)
    mount.stop()


def test_who_waits_is_told_once_on_each_terminal(t):
    mount = t.mount(many_modules(t, MODULES), options=[f"cache={t.cache}", "notify=tty"])
    many, terminals = mount.path / "usr/bin/many", [Terminal(), Terminal()]
    openers = [terminals[0].start(["sh", "-c", f"cat {many} & cat {many} & wait"]),
               terminals[1].start(["cat", many])]
    held = hold_for_long(t, mount, 3)
    for terminal in terminals:
        t.wait_until(terminal.read, "a line on the terminal")
        t.true(re.fullmatch(r"xaasfs: compiling /usr/bin/many for this machine: \w+(, \d+ of "
                            rf"{MODULES} modules)?, \d+ s so far\r+\n", terminal.read()),
               repr(terminal.text))
    end(t, mount, held, openers)
    # Nobody was told twice meanwhile.
    t.equal([terminal.read().count("\n") for terminal in terminals], [1, 1], "lines")


def test_who_waits_for_a_quick_compile_is_told_too(t):
    mount = t.mount(programs().image, options=[f"cache={t.cache}", "notify=tty", "first=fast"])
    terminal = Terminal()
    opener = terminal.start(["cat", mount.path / "usr/bin/slow"])
    held = hold_for_long(t, mount, 1)
    t.wait_until(terminal.read, "a line on the terminal")
    t.contains(terminal.text, "xaasfs: compiling /usr/bin/slow for this machine: ")
    end(t, mount, held, [opener])


def not_told(t, options, prepare=lambda terminal: None, stderr=None, program=None):
    """Nothing appears on the terminal of who waits, with OPTIONS of the mount."""
    mount = harness.Mount(programs().image, t.scratch / "mnt", t.env, t.scratch / "log",
                          [f"cache={t.cache}", *options], program=program)
    t.mounts.append(mount)
    terminal = Terminal()
    prepare(terminal)
    opener = terminal.start(["cat", mount.path / "usr/bin/slow"], stderr=stderr)
    end(t, mount, hold_for_long(t, mount, 1), [opener])
    t.equal(terminal.read(), "", "the terminal")


def test_nobody_is_told_by_default(t):
    not_told(t, [])


def test_who_sent_everything_elsewhere_is_not_told(t):
    not_told(t, ["notify=tty"], stderr=subprocess.DEVNULL)


def test_a_terminal_of_somebody_else_gets_nothing(t):
    harness.need_root()
    not_told(t, ["notify=tty"], lambda terminal: os.chown(terminal.path, 65534, -1))


def test_who_cannot_be_seen_is_not_told(t):
    harness.need_root()
    if "-fsanitize=address" in (harness.BUILD / "build.ninja").read_text():
        harness.skip("the search for leaks wants a /proc of the namespace that it runs in")
    # The mount sees processes of its own namespace alone: ours come with number 0.
    program = t.scratch / "xaasfs-inside"
    program.write_text(f"#!/bin/sh\nexec unshare -pf {harness.binary('xaasfs')} \"$@\"\n")
    program.chmod(0o755)
    not_told(t, ["notify=tty"], program=program)


def test_there_is_no_other_place_to_be_told(t):
    done = t.xaasfs("-o", "notify=mail", programs().image, t.scratch)
    t.equal(done.returncode, 2)
    t.contains(done.stderr, "option notify=mail: there is no such place; give tty, or off")


harness.main()
