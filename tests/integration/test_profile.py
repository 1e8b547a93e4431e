# SPDX-License-Identifier: Apache-2.0
"""xaas profile: programs count how often their code runs, and are compiled with what they counted.

What a profile changed is read off the code that was made: a call through a table of functions becomes the
body of the function that ran most.
"""

import json
import os
import re
import signal

import harness

XAAS = harness.binary("xaas")
CC = harness.binary("xaas-cc")

STEPS = """
__attribute__((visibility("hidden"))) int rare(int x);
int rare(int x) { volatile int y = x; for (int i = 0; i < 3; i++) y += i * x; return y; }
int often(int x);
int often(int x) { volatile int y = x; for (int i = 0; i < 5; i++) y += i ^ x; return y; }
int (*const steps[2])(int) = {rare, often};
int walk(long n);
int walk(long n)
{
        unsigned sum = 0;
        for (long i = 0; i < n; i++)
                sum += steps[i % 100 != 0](i);
        return sum;
}
"""
MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int walk(long n);
int main(int argc, char **argv)
{
        long n = argc > 1 ? atol(argv[1]) : 1000;
        if (argc > 2 && fork() == 0)
                return 0 * walk(n);
        printf("%u\\n", walk(n));
        fflush(stdout);
        if (argc > 2)
                wait(NULL);
        while (argc > 3)
                pause();
        return 0;
}
"""

LOOPS = """
__attribute__((noinline)) void many(double *restrict to, const double *restrict from, long n);
void many(double *restrict to, const double *restrict from, long n)
{
        for (long i = 0; i < n; i++)
                to[i] += 3 * from[i];
}
__attribute__((noinline)) void few(double *number, long n);
void few(double *number, long n)
{
        for (long i = 1; i < n; i++)
                number[i] += 3 * number[i - 1];
}
int walk(long n);
int walk(long n)
{
        static double a[48], b[48];
        for (long i = 0; i < n; i++) {
                many(a, b, 48);
                few(b, 4);
        }
        return (int)a[0];
}
"""


class Image:
    """/usr/bin/walk with its library, /usr/bin/alone, which is static, and /usr/bin/other."""

    def __init__(self, t, steps=STEPS, name="image"):
        harness.need_fuse()
        source = t.scratch / f"{name}-source"
        source.mkdir()
        (source / "steps.c").write_text(steps)
        (source / "main.c").write_text(MAIN)
        (source / "other.c").write_text("int main(void) { return 0; }")
        root = t.rootfs(f"{name}-root")
        library = root.inside("/usr/lib/libsteps.so")
        t.run([CC, "-O2", "-shared", "-fPIC", "steps.c", "-o", library, "-Wl,-soname,libsteps.so"],
              cwd=source)
        t.run([CC, "-O2", "main.c", library, "-o", root.inside("/usr/bin/walk"),
               "-Wl,-rpath,$ORIGIN/../lib"], cwd=source)
        t.run([CC, "-O2", "-static", "main.c", "steps.c", "-o", root.inside("/usr/bin/alone")],
              cwd=source)
        t.run([CC, "-O2", "other.c", "-o", root.inside("/usr/bin/other")], cwd=source)
        root.add_libraries(str(library.parent))
        self.t = t
        self.path = t.scratch / f"{name}.sqfs"
        t.run([XAAS, "pack", root.path, self.path])

    def profile(self, action, *words, expect=0):
        return self.t.run([XAAS, "profile", action, self.path, *words], expect=expect)

    def sizes(self, mnt):
        return {name: (mnt / "usr" / name).stat().st_size
                for name in ("bin/walk", "bin/alone", "bin/other", "lib/libsteps.so")}


def state(mnt, path):
    return os.getxattr(mnt / path, "user.xaasfs.state").decode()


def key(mnt, path):
    return os.getxattr(mnt / path, "user.xaasfs.key").decode()


def calls_through_table(t, path):
    """How many calls of the library's walk() go where a table says."""
    code = t.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=walk", path]).stdout
    t.contains(code, "<walk>:")
    return len(re.findall(r"(?:call|jmp) +\*", code))


def listed(t):
    return {profile["program"]: profile
            for profile in json.loads(t.run([XAAS, "profile", "list", "--json"]).stdout)}


def counts(t, folder, path):
    """Function -> counts of its blocks, in an exported profile."""
    harness.need_command("llvm-profdata-19")
    shown = t.run(["llvm-profdata-19", "show", "--all-functions", "--counts",
                   folder / f"{path}.profdata"]).stdout
    return {name: [int(count) for count in blocks.split(", ")] for name, blocks in re.findall(
        r"^  (\w+):\n.*?Block counts: \[([\d, ]*)\]", shown, re.MULTILINE | re.DOTALL)}


def test_from_counts_to_code(t):
    image = Image(t)
    with t.mount(image.path) as mnt:
        plain = image.sizes(mnt)
        answer = t.run([mnt / "usr/bin/walk", 50000]).stdout
        plain_key = key(mnt, "usr/lib/libsteps.so")
        t.equal(calls_through_table(t, mnt / "usr/lib/libsteps.so"), 1, "calls through the table")
    started = image.profile("start", "/usr/bin/walk").stdout
    t.contains(started, "/usr/lib/libsteps.so")
    t.true("/usr/bin/alone" not in started, "what was not named does not count")
    with t.mount(image.path) as mnt:
        t.equal(image.sizes(mnt), {name: size * (2 if name in ("bin/walk", "lib/libsteps.so") else 1)
                                   for name, size in plain.items()}, "sizes")
        t.equal(t.run([mnt / "usr/bin/walk", 50000]).stdout, answer)
        for path in ("usr/bin/walk", "usr/lib/libsteps.so"):
            t.true(state(mnt, path).endswith(", counting"), state(mnt, path))
    told = image.profile("finish").stdout
    t.equal(sorted(listed(t)), ["usr/bin/walk", "usr/lib/libsteps.so"])
    t.contains(told, "/usr/lib/libsteps.so: ")
    mount = t.mount(image.path)
    with mount as mnt:
        t.equal(image.sizes(mnt), plain, "sizes afterwards")
        t.equal(t.run([mnt / "usr/bin/walk", 50000]).stdout, answer)
        t.wait_until(lambda: "profile" in state(mnt, "usr/lib/libsteps.so"), "it is in the cache")
        t.contains(state(mnt, "usr/lib/libsteps.so"), "profile: 3 of 3 functions, 0 changed")
        t.equal(calls_through_table(t, mnt / "usr/lib/libsteps.so"), 0, "calls through the table")
        t.true(key(mnt, "usr/lib/libsteps.so") != plain_key, "another key")
        t.true("profile" not in mount.log, mount.log)
    with t.mount(image.path, options=["profile=off"]) as mnt:
        t.equal(key(mnt, "usr/lib/libsteps.so"), plain_key, "the key without")
        t.true(state(mnt, "usr/lib/libsteps.so").endswith(plain_key), "compiled without")
    image.profile("forget", "/usr/lib/libsteps.so")
    with t.mount(image.path) as mnt:
        t.equal(key(mnt, "usr/lib/libsteps.so"), plain_key, "the key once it is forgotten")
    t.equal(sorted(listed(t)), ["usr/bin/walk"])


def stores(t, path, function):
    """How often the code of FUNCTION stores vectors, and how often single numbers."""
    code = t.run(["objdump", "-d", "--no-show-raw-insn", f"--disassemble={function}", path]).stdout
    return [len(re.findall(rf"v?mov{kind} +%[xyz]mm\d+,.*\(", code)) for kind in ("[ua]pd", "sd")]


def test_long_loops_are_not_peeled(t):
    """Rounds are taken out of a loop that has few of them, but not out of one that has few once it is vectorised."""
    image = Image(t, LOOPS)
    with t.mount(image.path) as mnt:
        many, _ = stores(t, mnt / "usr/lib/libsteps.so", "many")
        t.true(many > 0, "the loop is vectorised")
    image.profile("start", "/usr/bin/walk")
    with t.mount(image.path) as mnt:
        t.run([mnt / "usr/bin/walk", 5000])
    image.profile("finish")
    with t.mount(image.path) as mnt:
        library = mnt / "usr/lib/libsteps.so"
        t.run([mnt / "usr/bin/walk", 5000])
        t.wait_until(lambda: "profile: 3 of 3" in state(mnt, "usr/lib/libsteps.so"), "it is in the cache")
        t.true(0 < stores(t, library, "many")[0] <= many, f"{many} stores of vectors, then {stores(t, library, 'many')}")
        t.equal(stores(t, library, "few"), [0, 4], "three rounds, and the loop")


def test_every_process_counts(t):
    """Also one of several at a time, children, and those that are killed; libraries and static programs."""
    image = Image(t)
    folder = t.scratch / "counts"
    folder.mkdir()
    with t.mount(image.path, options=[f"profile={folder}"]) as mnt:
        for name in ("walk", "alone"):
            several = [t.start([mnt / "usr/bin" / name, "1000", "fork", "stay"], stdout=-1)
                       for _ in range(3)]
            for process in several:
                process.stdout.readline()
            t.run([mnt / "usr/bin" / name, 500])
            t.wait_until(lambda: all(child_is_gone(process.pid) for process in several), "children")
            for process in several:
                process.send_signal(signal.SIGKILL)
                process.wait()
            t.run([mnt / "usr/bin" / name, 500])
    files = sorted(path.name for path in folder.iterdir())
    # Three at a time and one beside them: four files of each of three programs.
    t.equal(len(files), 12, f"files of counts: {files}")
    image.profile("finish", "--dir", folder)
    t.equal(list(folder.parent.glob("counts/*")), [], "files that are left")
    image.profile("export", t.scratch / "exported")
    for path in ("usr/lib/libsteps.so", "usr/bin/alone"):
        seen = counts(t, t.scratch / "exported", path)
        t.equal((seen["rare"], seen["often"]), ([70], [6930]), path)
    t.equal(listed(t)["usr/bin/alone"]["files"], 4)
    t.true("usr/bin/other" not in listed(t), "what did not run has no profile")


def child_is_gone(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return not children.read()


def test_finish_adds(t):
    image = Image(t)
    for how in ([], ["--add"]):
        image.profile("start", "/usr/bin/alone")
        with t.mount(image.path) as mnt:
            t.run([mnt / "usr/bin/alone", 200])
        image.profile("finish", *how)
    image.profile("export", t.scratch / "exported", "/usr/bin/alone")
    t.equal(counts(t, t.scratch / "exported", "usr/bin/alone")["often"], [396])
    t.equal(listed(t)["usr/bin/alone"]["files"], 1)


def test_in_a_container_that_lacks_the_folder(t):
    """It says so and runs; what is bound elsewhere can be named."""
    harness.need_command("bwrap")
    image = Image(t)
    image.profile("start", "--dir", t.scratch / "counts", "/usr/bin/walk")
    with t.mount(image.path) as mnt:
        inside = harness.Served(t, mnt)
        done = inside.run(["walk", "1000"])
        t.contains(done.stderr, "XAASFS_PROFILE_DIR")
        t.equal(list((t.scratch / "counts").iterdir()), [])
        inside.run(["walk", "1000"], bind=[t.scratch / "counts"])
        t.equal(len(list((t.scratch / "counts").iterdir())), 2)
        (t.scratch / "else").mkdir()
        t.run([mnt / "usr/bin/walk", 10], env={"XAASFS_PROFILE_DIR": str(t.scratch / "else")})
        t.equal(len(list((t.scratch / "else").iterdir())), 2)
    image.profile("finish")


def profile_of(t, image, program="/usr/bin/alone"):
    """A profile of PROGRAM, as a file."""
    image.profile("start", program)
    with t.mount(image.path) as mnt:
        t.run([mnt / program.lstrip("/"), 5000])
    image.profile("finish")
    image.profile("export", t.scratch / "exported")
    image.profile("forget")
    return t.scratch / "exported" / f"{program.lstrip('/')}.profdata"


def use(t, image, expected_log):
    """Runs /usr/bin/alone in a mount that says EXPECTED_LOG; its state."""
    mount = t.mount(image.path)
    with mount as mnt:
        t.equal(t.run([mnt / "usr/bin/alone", 100]).returncode, 0)
        t.wait_until(lambda: "profile:" in state(mnt, "usr/bin/alone"), "the result is in the cache")
        t.contains(mount.log, expected_log)
        t.equal(mount.log.count("the profile of"), 1, mount.log)
        return state(mnt, "usr/bin/alone")


def test_profiles_that_do_not_fit(t):
    """Of another version, of another program, or none at all: reported, and the program runs."""
    image = Image(t)
    good = profile_of(t, image)
    changed = Image(t, STEPS.replace("sum += steps", "if (i & 4) sum += steps"), "changed")
    changed.profile("import", good, "/usr/bin/alone")
    t.contains(use(t, changed, "another version"), "profile: 3 of 4 functions, 1 changed")

    renamed = Image(t, re.sub("rare|often|walk", lambda name: name[0] + "_", STEPS)
                    + "int walk(long n) { return walk_(n); }", "renamed")
    (t.scratch / "library.profdata").write_bytes(profile_of(t, image, "/usr/bin/other").read_bytes())
    renamed.profile("import", t.scratch / "library.profdata", "/usr/bin/alone")
    use(t, renamed, "another version")

    for name, text in {"cut": good.read_bytes()[:200],
                       "flipped": good.read_bytes()[:64] + b"\xff" * 400 + good.read_bytes()[464:]}.items():
        bad = t.scratch / f"{name}.profdata"
        bad.write_bytes(text)
        image.profile("import", bad, "/usr/bin/alone")
        t.contains(use(t, image, "none that this LLVM can read"), "profile: not readable")


def test_import_and_export(t):
    image = Image(t)
    good = profile_of(t, image)
    t.contains(image.profile("import", t.scratch / "exported").stdout, "/usr/bin/alone: imported")
    t.equal(list(listed(t)), ["usr/bin/alone"])
    t.contains(image.profile("import", good, expect=1).stderr, "which program")
    (t.scratch / "none").write_text("no profile")
    t.contains(image.profile("import", t.scratch / "none", "/usr/bin/alone", expect=1).stderr, "it is none")
    t.contains(image.profile("import", good, "/bin/nothing", expect=1).stderr, "no portable object")
    t.contains(image.profile("import", t.scratch, expect=1).stderr, "holds no profile")
    t.contains(image.profile("export", t.scratch / "out", "/usr/bin/other", expect=1).stderr,
               "there is no profile")


def shipped_key(t, packed):
    """The key of the library as a mount compiles it, which must be with some profile."""
    with t.mount(packed) as mnt:
        t.run([mnt / "usr/bin/walk", 500])
        t.wait_until(lambda: "profile" in state(mnt, "usr/lib/libsteps.so"), "it is in the cache")
        t.equal(calls_through_table(t, mnt / "usr/lib/libsteps.so"), 0, "calls through the table")
        return key(mnt, "usr/lib/libsteps.so")


def test_shipped_in_an_image(t):
    """The image's profile serves every mount that has no younger one of its own."""
    image = Image(t)
    good = profile_of(t, image, "/usr/bin/walk")
    root = t.scratch / "image-root"
    packed = {}
    for when in ("past", "future"):
        for file in (t.scratch / "exported").rglob("*.profdata"):
            made = os.stat(file).st_mtime + (-5000 if when == "past" else 10000)
            os.utime(file, (made, made))
        packed[when] = t.scratch / f"{when}.sqfs"
        t.run([XAAS, "pack", "--profile", t.scratch / "exported", root, packed[when]])
    told = json.loads(t.run([XAAS, "inspect", "--json", packed["past"]]).stdout)
    t.equal(told["stored"]["profiles"]["count"], 2)
    t.equal([program["path"] for program in told["programs"] if "profile" in program],
            ["usr/bin/walk", "usr/lib/libsteps.so"])
    t.equal(listed(t), {}, "profiles in the cache")
    shipped = shipped_key(t, packed["past"])
    t.run([XAAS, "profile", "start", packed["past"], "/usr/bin/walk"])
    with t.mount(packed["past"]) as mnt:
        t.run([mnt / "usr/bin/walk", 700])
    t.run([XAAS, "profile", "finish", packed["past"]])
    t.true(shipped_key(t, packed["past"]) != shipped, "the cache's is younger")
    t.equal(shipped_key(t, packed["future"]), shipped, "the image's is younger")
    t.run([XAAS, "profile", "export", packed["future"], t.scratch / "again", "/usr/bin/walk"])
    t.equal((t.scratch / "again/usr/bin/walk.profdata").read_bytes(), good.read_bytes())


def test_pack_takes_what_is_named(t):
    image = Image(t)
    good = profile_of(t, image)
    root = t.scratch / "image-root"

    def pack(given, expect=0):
        return t.run([XAAS, "pack", "--profile", given, root, t.scratch / "again.sqfs"], expect=expect).stderr

    t.equal(pack(f"/usr/bin/alone={good}"), "")
    t.contains(pack(f"/no/such={good}"), "no portable object")
    t.contains(pack(t.scratch / "nowhere", expect=1), "No such file")
    t.contains(pack(good, expect=1), "PROGRAM=FILE")
    t.contains(pack(f"usr/bin/alone={image.path}", expect=1), "no profile of LLVM")


def test_finish_without_counts(t):
    image = Image(t)
    t.contains(image.profile("finish", expect=1).stderr, "it was not started")
    image.profile("start")
    t.contains(image.profile("finish", expect=1).stderr, "has counted anything")
    image.profile("start", "--dir", t.scratch / "counts")
    (t.scratch / "counts").mkdir(exist_ok=True)
    with t.mount(image.path) as mnt:
        t.run([mnt / "usr/bin/other"])
    for file in (t.scratch / "counts").iterdir():
        file.write_bytes(b"damaged")
    t.contains(image.profile("finish", expect=1).stderr, "cannot merge the counts")


harness.main()
