# SPDX-License-Identifier: Apache-2.0
"""A small image with portable objects, and what tests do to its compiles."""

import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from .binaries import BUILD, binary, binary_for_anyone, need_command
from .outcome import TestFailure
from .rootfs import RootFs

LIBRARY = """
int twice(int x) { return 2 * x; }
"""

PROGRAM = """
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int twice(int);
int main(int argc, char **argv)
{
        char self[4096] = "";
        if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
                perror("readlink");
        printf("%d %s\\n", twice(argc + 20), self);
        fflush(stdout);
        if (argc > 1 && !strcmp(argv[1], "wait"))
                getchar();
        return 0;
}
"""

SLOW_FUNCTION = """
double slow_{n}(double *a, const double *b, int n)
{{
        double s = {n};
        for (int i = 0; i < n; i++)
                for (int j = {n}; j < n; j++) {{
                        a[i] += b[j] * a[j] + s;
                        s += a[i] > {n} ? b[i] / (a[j] + 1) : a[j] * {n};
                        if (s > 1e{m})
                                a[j] = s - b[i];
                }}
        return s;
}}
"""


def slow_source(functions=150):
    """A program whose compile takes long enough to be caught at it: about a second. Nothing of it
    can be left out, since the table of functions may change at any time."""
    return ("#include <stdio.h>\n" +
            "".join(SLOW_FUNCTION.format(n=n, m=n % 9 + 1) for n in range(functions)) +
            "static double (*volatile table[])(double *, const double *, int) = {\n" +
            "".join(f"        slow_{n},\n" for n in range(functions)) +
            "};\nint main(int argc, char **argv)\n{\n"
            "        static double a[9], b[9];\n        double s = argv[0][0];\n"
            f"        for (int i = 0; i < {functions}; i++)\n"
            "                s += table[i](a, b, argc + 1);\n"
            '        printf("slow %d\\n", s != 0);\n        return 0;\n}\n')


class Programs:
    """path.sqfs: image, image packed --lean: lean, and the root file system they were made of."""

    def __init__(self):
        need_command("clang-19")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xaasfs-programs-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.env = {**os.environ, "XAASFS_LIBEXEC": str(BUILD / "libexec"), "LC_ALL": "C.UTF-8"}
        self.root = RootFs(self.folder / "root")
        self._compile("libtwice.so", LIBRARY, "-fPIC", "-shared", "-Wl,-soname,libtwice.so")
        self._compile("hello", PROGRAM, f"-L{self.folder}", "-ltwice", "-Wl,-rpath,$ORIGIN/../lib")
        self._compile("slow", slow_source())
        self.root.add("/usr/bin/hello", self.folder / "hello")
        self.root.add("/usr/bin/slow", self.folder / "slow")
        self.root.add("/usr/lib/libtwice.so", self.folder / "libtwice.so")
        self.root.add_commands("cat", "sh")
        self.root.inside("/etc/ordinary").write_text("ordinary\n")
        self.root.add_libraries(str(self.folder))
        self.image = self._pack("image.sqfs")
        self.lean = self._pack("lean.sqfs", "--lean")

    def _compile(self, name, source, *arguments):
        path = self.folder / f"{name}.c"
        path.write_text(source)
        self._run([BUILD / "libexec/xaas-cc", "-O2", path, "-o", self.folder / name, *arguments])

    def _pack(self, name, *options):
        self._run([binary("xaas"), "pack", *options, self.root.path, self.folder / name])
        return self.folder / name

    def _run(self, command):
        done = subprocess.run([str(word) for word in command], env=self.env, cwd=self.folder,
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise TestFailure(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


_programs = None


def programs():
    """Built once per test file."""
    global _programs
    if _programs is None:
        _programs = Programs()
    return _programs


def many_modules(t, modules):
    """An image whose program `many` consists of MODULES modules that each take a while."""
    source = t.scratch / "many-source"
    source.mkdir()
    parts, names = [source / "main.c"], []
    for n in range(1, modules):
        numbers = range(100 * n, 100 * n + 12)
        names += [f"slow_{number}" for number in numbers]
        parts.append(source / f"part{n}.c")
        parts[-1].write_text("".join(SLOW_FUNCTION.format(n=number, m=number % 9 + 1)
                                     for number in numbers))
    parts[0].write_text("".join(f"double {name}(double *, const double *, int);\n" for name in names) +
                        "static double (*volatile table[])(double *, const double *, int) = {\n" +
                        ", ".join(names) + "};\nint main(void) { return table[0] == 0; }\n")
    root = t.rootfs("many")
    t.run([BUILD / "libexec/xaas-cc", "-O2", *parts, "-o", root.inside("/usr/bin/many")], cwd=source)
    image = t.scratch / "many.sqfs"
    t.run([binary("xaas"), "pack", "--quiet", root.path, image])
    return image


def state(path):
    """What the mount says about the program at PATH."""
    return os.getxattr(path, "user.xaasfs.state").decode()


def cache_stats(t, cache=None, user=None):
    """The counters of the cache, by name; USER is whose it is, if not ours."""
    become = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []
    xaas = binary_for_anyone(t, "xaas") if user else binary("xaas")
    return json.loads(t.run([*become, xaas, "cache", "stats", "--json", "--cache",
                             cache or t.cache]).stdout)


def descendants(pid):
    found = []
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    except OSError:
        pass
    return found


def workers(pid):
    """Process ids of the workers that compile for the mount PID."""
    found = []
    for child in descendants(pid):
        try:
            if b"xaas-worker" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
        except OSError:
            pass
    return found


class HeldCompile:
    """Waits until the mount PID runs a worker, and stops it: its compile takes for ever until
    release(). With `kill` it is killed for good instead."""

    def __init__(self, pid):
        deadline = time.monotonic() + 60
        self.pids = []
        # Until none is left that goes on: a worker looks like two while it starts its linker.
        while not self.pids or set(workers(pid)) - set(self.pids):
            if time.monotonic() > deadline:
                raise TestFailure("no worker was started")
            time.sleep(0.001)
            self.pids = workers(pid)
            self._signal(signal.SIGSTOP)

    def _signal(self, number):
        for pid in self.pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def release(self):
        self._signal(signal.SIGCONT)

    def kill(self):
        self._signal(signal.SIGKILL)
