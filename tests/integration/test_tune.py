# SPDX-License-Identifier: Apache-2.0
"""xaas tune: the candidate that costs least is chosen and every later mount uses it.

What a candidate costs is counted here, in instructions of the mounted program, so that it is certain
what has to win; nothing here depends on how long something takes.
"""

import json
import os
import pathlib
import shlex
import signal
import subprocess

import harness
from harness.mount import processes_of

XAAS = harness.binary("xaas")
XAASFS = harness.binary("xaasfs")
CC = harness.binary("xaas-cc")
COUNTED = "counted ([0-9]+)"
TARGET = "x86-64-v3"  # has FMA and 256-bit vectors, whatever the machine has besides

KERNELS = """
double step(double a, double b, double c) { return a * b + c * a - c; }
__attribute__((noinline)) void scale(float *restrict to, const float *restrict from, int n)
{
        for (int i = 0; i < n; i++)
                to[i] = from[i] * 3.0f;
}
"""
DIGITS = """
#include <stdio.h>
double step(double, double, double);
void scale(float *restrict, const float *restrict, int);
int main(int argc, char **argv)
{
        static float to[1000], from[1000];
        double x = 0.1 * argc;
        (void)argv;
        for (int i = 0; i < 1000; i++)
                from[i] = i + argc;
        for (int i = 0; i < 5000; i++)
                x = step(x, 0.9999, 1.0 / (i + argc));
        scale(to, from, 1000);
        printf("%.17g %g\\n", x, to[999]);
        return 0;
}
"""
WHOLE = """
#include <stdio.h>
int main(int argc, char **argv) { (void)argv; printf("%d\\n", argc + 41); return 0; }
"""


def image(t):
    """/usr/bin/digits and its library, where all that can differ is; /usr/bin/whole, where nothing can."""
    source = t.scratch / "source"
    source.mkdir()
    for name, text in {"kernels": KERNELS, "digits": DIGITS, "whole": WHOLE}.items():
        (source / f"{name}.c").write_text(text)
    root = t.rootfs()
    root.add_commands("sh", "pwd", "test")
    library = root.inside("/usr/lib/libkernels.so")
    t.run([CC, "-O2", "-shared", "-fPIC", "kernels.c", "-o", library, "-Wl,-soname,libkernels.so"],
          cwd=source)
    t.run([CC, "-O2", "digits.c", library, "-o", root.inside("/usr/bin/digits"),
           "-Wl,-rpath,$ORIGIN/../lib"], cwd=source)
    t.run([CC, "-O2", "whole.c", "-o", root.inside("/usr/bin/whole")], cwd=source)
    root.add_libraries(str(library.parent))
    packed = t.scratch / "image.sqfs"
    t.run([XAAS, "pack", root.path, packed])
    return packed


def need_target():
    harness.need_fuse()
    flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    if not {"avx2", "fma", "bmi2"} <= set(flags):
        harness.skip(f"this CPU cannot run {TARGET}")


def counting(word):
    """A command whose cost is how often WORD is in the disassembled library."""
    return ["sh", "-c", "echo counted $(llvm-objdump-19 -d --no-show-raw-insn "
            f"{{}}/usr/lib/libkernels.so | grep -c {word}) >&2; {{}}/usr/bin/digits"]


def start_words(packed, *options, program="/usr/bin/digits", command=()):
    return [XAAS, "tune", "--target", TARGET, *options, packed, program, "--", *command]


def path_with_xaasfs(t):
    """As after an installation: xaasfs is in PATH. What tune leaves behind would lie in TMPDIR."""
    (t.scratch / "tmp").mkdir(exist_ok=True)
    return {"PATH": f"{XAASFS.parent}:{os.environ['PATH']}", "TMPDIR": str(t.scratch / "tmp")}


def tune(t, packed, *options, expect=0, **how):
    done = t.run(start_words(packed, "--rounds", 4, *options, **how), expect=expect, timeout=300,
                 env=path_with_xaasfs(t))
    t.equal(list((t.scratch / "tmp").iterdir()), [], "left in TMPDIR")
    return done


def tune_json(t, packed, *options, **how):
    return json.loads(tune(t, packed, "--json", *options, **how).stdout)


def by_policy(told):
    return {candidate["policy"]: candidate for candidate in told["candidates"]}


def policies(t, packed, cache=None):
    """What an ordinary mount compiles program and library with."""
    options = [f"target={TARGET}", *([f"cache={cache}"] if cache else [])]
    with t.mount(packed, options=options) as mnt:
        t.run([mnt / "usr/bin/digits"])
        found = []
        for path in ("usr/bin/digits", "usr/lib/libkernels.so"):
            t.equal(os.getxattr(mnt / path, "user.xaasfs.state").split()[0], b"native", path)
            found.append(os.getxattr(mnt / path, "user.xaasfs.policy").decode())
        return found


def test_the_least_cost_is_chosen_and_remembered(t):
    need_target()
    packed = image(t)
    t.equal(policies(t, packed), ["opt=3", "opt=3"])
    told = tune_json(t, packed, "--metric", COUNTED, command=counting("vfm"))
    # Two candidates have no fused operation; the one that changes less is taken.
    t.equal((told["policy"], told["is_chosen"]), ("opt=3,fp=strict", True))
    t.equal(told["programs"], ["usr/bin/digits", "usr/lib/libkernels.so"])
    candidates = by_policy(told)
    t.equal(candidates["opt=3,fp=strict"]["best"], 0)
    t.equal(candidates["opt=3,target=x86-64"]["best"], 0)
    t.true(candidates["opt=3"]["best"] > 0, "the default has no fused operation")
    t.equal(policies(t, packed), ["opt=3,fp=strict"] * 2)
    listed = json.loads(t.run([XAAS, "tune", "--list", "--json"]).stdout)
    t.equal(sorted((choice["program"], choice["policy"]) for choice in listed),
            [("usr/bin/digits", "opt=3,fp=strict"), ("usr/lib/libkernels.so", "opt=3,fp=strict")])
    t.contains(t.run([XAAS, "tune", "--list"]).stdout, "/usr/bin/digits on x86-64-v3: opt=3,fp=strict")


def test_another_cost_chooses_another_way(t):
    need_target()
    packed = image(t)
    told = tune_json(t, packed, "--metric", COUNTED, command=counting("ymm"))
    t.equal(told["policy"], "opt=3,width=128")
    # The same again, and it wins no more: what was chosen before is taken back.
    told = tune_json(t, packed, "--higher", "--metric", COUNTED, command=counting("ymm"))
    reasons = {policy: one.get("reason", "") for policy, one in by_policy(told).items()}
    t.contains(reasons["opt=3,width=128"], "printed 0")
    t.true(told["policy"] != "opt=3,width=128", "the fewest were chosen as the most")
    t.equal(policies(t, packed), [told["policy"]] * 2)


def test_what_was_chosen_is_forgotten_and_carried_elsewhere(t):
    need_target()
    packed = image(t)
    tune(t, packed, "--metric", COUNTED, command=counting("vfm"))
    file, elsewhere = t.scratch / "choices.json", t.scratch / "elsewhere"
    t.run([XAAS, "tune", "--export", file])
    forget = [XAAS, "tune", "--target", TARGET, "--forget", packed, "/usr/bin/digits"]
    t.contains(t.run(forget).stdout, "forgotten")
    t.equal(policies(t, packed), ["opt=3"] * 2)
    t.contains(t.run(forget).stdout, "nothing was chosen")
    t.contains(t.run([XAAS, "tune", "--list"]).stdout, "nothing was chosen")
    t.contains(t.run([XAAS, "tune", "--import", file, "--cache", elsewhere]).stdout, "2 choices")
    t.equal(policies(t, packed, elsewhere), ["opt=3,fp=strict"] * 2)
    # For the target that it was measured for, and no other.
    with t.mount(packed, options=["target=x86-64-v2", f"cache={elsewhere}"]) as mnt:
        t.equal(os.getxattr(mnt / "usr/bin/digits", "user.xaasfs.policy"), b"opt=3")
    file.write_text(file.read_text().replace("fp=strict", "fp=loose"))
    t.contains(t.run([XAAS, "tune", "--import", file], expect=1).stderr, "no choices that this version")


def test_other_results_are_refused(t):
    need_target()
    packed = image(t)
    checked = by_policy(tune_json(t, packed, "--check", "--metric", COUNTED, command=counting("vfm")))
    for policy in ("opt=3,fp=strict", "opt=3,target=x86-64"):
        t.equal(checked[policy]["fate"], "unusable")
        t.contains(checked[policy]["reason"], "something else than the default")
    listed = tune(t, packed, "--same-results", "--dry-run").stdout
    t.contains(listed, "opt=3,width=128")
    t.true("strict" not in listed and "x86-64" not in listed, listed)
    done = tune(t, packed, "--check", expect=1,
                command=["sh", "-c", "{}/usr/bin/digits; cat /proc/sys/kernel/random/uuid"])
    t.contains(done.stderr, "something else each time")


def test_equal_code_runs_once(t):
    need_target()
    packed = image(t)
    told = tune_json(t, packed, program="/usr/bin/whole", command=["{}/usr/bin/whole"])
    candidates = by_policy(told)
    for policy in ("opt=3,fp=strict", "opt=3,width=128", "opt=3,profile=off"):
        t.equal((candidates[policy]["fate"], candidates[policy]["same_as"]), ("same code", "opt=3"))
        t.equal(candidates[policy]["runs"], 0)
    t.equal((told["programs"], told["also_opened"]), (["usr/bin/whole"], []))


def test_what_the_command_opens_besides_is_told(t):
    need_target()
    packed = image(t)
    both = ["sh", "-c", "{}/usr/bin/whole; {}/usr/bin/digits; echo counted 1"]
    options = ["--same-results", "--metric", COUNTED]
    told = tune_json(t, packed, *options, program="/usr/bin/whole", command=both)
    t.equal(told["also_opened"], ["usr/bin/digits", "usr/lib/libkernels.so"])
    told = tune_json(t, packed, *options, "--with", "/usr/bin/digits", program="/usr/bin/whole",
                     command=both)
    t.equal(told["programs"], ["usr/bin/whole", "usr/bin/digits", "usr/lib/libkernels.so"])
    t.equal(told["also_opened"], [])
    t.equal(by_policy(told)["opt=3,width=128"]["fate"], "raced")


def test_an_ordinary_user(t):
    need_target()
    harness.need_root()
    harness.need_fusermount()
    harness.need_command("bwrap")
    packed = image(t)
    harness.binary_for_anyone(t, "xaasfs")
    words = [harness.binary_for_anyone(t, "xaas"),
             *start_words(packed, "--rounds", 2, "--same-results", "--json")[1:], "/usr/bin/digits"]
    folder = harness.folder_of_site_user(t, "user")
    done = harness.as_site_user(
        t, f"cd {folder} && TMPDIR={folder} XAASFS_CACHE={folder}/cache {shlex.join(map(str, words))}",
        timeout=300)
    t.equal(done.returncode, 0, done.stderr)
    t.equal(by_policy(json.loads(done.stdout))["opt=3"]["fate"], "raced")
    t.equal([entry.name for entry in folder.iterdir()], ["cache"])


def test_a_profile_that_does_not_pay_is_left_out(t):
    need_target()
    packed = image(t)
    profile = [XAAS, "profile"]
    t.run([*profile, "start", packed, "/usr/bin/digits"])
    refused = tune(t, packed, expect=1, command=["{}/usr/bin/digits"])
    t.contains(refused.stderr, "profile finish")
    with t.mount(packed, options=[f"target={TARGET}"]) as mnt:
        t.run([mnt / "usr/bin/digits"])
    t.run([*profile, "finish", packed])
    # What is counted here stands for what only the profile has.
    script = ("getfattr -n user.xaasfs.state {}/usr/lib/libkernels.so | grep -q profile: && "
              "echo counted 2 || echo counted 1; {}/usr/bin/digits")
    harness.need_command("getfattr")
    told = tune_json(t, packed, "--metric", COUNTED, command=["sh", "-c", script])
    t.equal(told["policy"], "opt=3,profile=off")
    t.equal(policies(t, packed), ["opt=3,profile=off"] * 2)


def test_candidates_that_fail_are_out(t):
    need_target()
    packed = image(t)
    script = ("getfattr -n user.xaasfs.policy {}/usr/bin/digits | grep -q width=128 && "
              "{ echo no narrow vectors >&2; exit 3; }; echo counted 1; {}/usr/bin/digits")
    harness.need_command("getfattr")
    told = tune_json(t, packed, "--metric", COUNTED, command=["sh", "-c", script])
    narrow = by_policy(told)["opt=3,width=128"]
    t.equal((narrow["fate"], narrow["reason"]), ("unusable", "it ended with status 3: no narrow vectors"))
    # All others cost the same.
    t.equal((told["policy"], told["is_chosen"]), ("opt=3", False))
    t.equal(policies(t, packed), ["opt=3"] * 2)


def test_what_cannot_be_tuned_is_said(t):
    need_target()
    packed = image(t)

    def refused(*options, **how):
        return tune(t, packed, *options, expect=1, **how).stderr

    t.contains(refused(command=["false", "{}"]), "it ended with status 1")
    t.contains(refused(command=["true", "{}"]), "never opened it in the mount")
    t.contains(refused(command=["{}/usr/bin/whole"]), "never opened it in the mount")
    t.contains(refused(command=["{}/usr/bin/nothing"]), "No such file")
    t.contains(refused("--metric", "took ([0-9]+)", command=["{}/usr/bin/digits"]), "no number")
    t.contains(refused(program="/usr/bin/sh", command=["{}/usr/bin/sh"]), "no portable object")
    t.contains(refused(program="/usr/bin/nothing", command=["{}"]), "No such file")
    for words, said in ((["--metric", "took ((", packed, "/x", "--", "y"], "--metric took (("),
                        (["--higher", packed, "/x", "--", "y"], "--higher needs --metric"),
                        ([packed, "/usr/bin/digits"], "put it behind --"),
                        (["--rounds", "1", packed, "/x", "--", "y"], "from 2 on"),
                        (["--list", "--forget"], "exclude each other"), ([packed], "a program is missing")):
        t.contains(t.run([XAAS, "tune", *words], expect=2).stderr, said)


def test_commands_inside_the_image(t):
    """Without {} the mount is the root file system, with this machine's folders in it."""
    need_target()
    harness.need_command("bwrap")
    packed = image(t)
    command = ["/bin/sh", "-c", "test -f meson.build && pwd && test -c /dev/null && "
               "test ! -e /usr/bin/env && /usr/bin/digits"]
    (t.scratch / "run").mkdir()
    (t.scratch / "run/meson.build").touch()
    for folder in (harness.SOURCE, t.scratch / "run"):
        done = t.run(start_words(packed, "--rounds", 2, "--same-results", "--json", command=command),
                     cwd=folder, env=path_with_xaasfs(t), timeout=300)
        usual = by_policy(json.loads(done.stdout))["opt=3"]
        t.true(usual["fate"] == "raced" and usual["runs"] >= 2, str(usual))


def test_commands_inside_the_image_without_bubblewrap(t):
    need_target()
    packed = image(t)
    without = {**path_with_xaasfs(t), "PATH": str(t.scratch / "empty")}
    programs = t.scratch / "programs"
    programs.mkdir()
    for name in ("xaas", "xaasfs"):
        (programs / name).write_bytes(harness.binary(name).read_bytes())
        (programs / name).chmod(0o755)
    words = start_words(packed, "--rounds", 2, "--same-results", "--json",
                        command=["/usr/bin/digits"])[1:]
    if os.geteuid() == 0:
        told = json.loads(t.run([programs / "xaas", *words], env=without, timeout=300).stdout)
        t.equal(by_policy(told)["opt=3"]["fate"], "raced")
        user = harness.folder_of_site_user(t, "cache-of-user")
        without["XAASFS_CACHE"] = str(user)
        xaas = harness.binary_for_anyone(t, "xaas")
        harness.open_scratch_for_anyone(t)
        become = ["/usr/bin/setpriv", "--reuid", harness.SITE_USER, "--regid", harness.SITE_USER,
                  "--clear-groups"]
    else:
        xaas, become = programs / "xaas", []
    done = t.run([*become, xaas, *words], env={**without, "XAASFS_LIBEXEC": t.env["XAASFS_LIBEXEC"]},
                 expect=1)
    t.contains(done.stderr, "install bubblewrap, or write {}")


def test_the_chain_waits_for_fused_operations(t):
    """tests/apps/chain, which tests/bench/tune measures: what slows it down is there by default, and
    gone where tune may choose it."""
    need_target()
    root = t.rootfs()
    t.run([XAAS, "build", "--", "make", "-s", "-C", harness.SOURCE / "tests/apps/chain",
           f"BUILD={t.scratch / 'build'}", f"DESTDIR={root.path}", "install"])
    root.add_libraries()
    packed = t.scratch / "chain.sqfs"
    t.run([XAAS, "pack", root.path, packed])
    for policy, fused in (("opt=3", True), ("opt=3\\,fp=strict", False)):
        with t.mount(packed, options=[f"target={TARGET}", f"policy={policy}"]) as mnt:
            chain = mnt / "usr/bin/chain"
            t.contains(t.run([chain, "--size", 6, "--sweeps", 50]).stdout, "verified")
            code = t.run(["llvm-objdump-19", "-d", "--no-show-raw-insn", chain]).stdout
            t.equal("vfnmadd" in code, fused, f"fused operations with {policy}")


def mounts_below(folder):
    lines = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(f"{folder}/")]


def test_signals_leave_nothing(t):
    need_target()
    packed = image(t)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        seen = t.scratch / f"seen-{number.name}"
        command = ["sh", "-c", f"{{}}/usr/bin/digits; echo $$ > {seen}; exec sleep 1000"]
        process = t.start(start_words(packed, command=command), env=path_with_xaasfs(t),
                          stderr=subprocess.PIPE, text=True, start_new_session=True)
        t.wait_until(lambda: seen.exists() and seen.read_text(), "the command")
        t.true(mounts_below(t.scratch / "tmp"), "nothing is mounted")
        process.send_signal(number)
        said = process.communicate()[1]
        t.wait_until(lambda: not mounts_below(t.scratch / "tmp"), "the end of the mounts")
        t.wait_until(lambda: not processes_of(packed), "the end of all processes")
        sleeper = pathlib.Path(f"/proc/{seen.read_text().strip()}")
        t.wait_until(lambda: not sleeper.exists(), "the end of the command")
        if number != signal.SIGKILL:
            t.equal(process.returncode, 1)
            t.contains(said, "stopped by a signal")
            t.equal(list((t.scratch / "tmp").iterdir()), [], "left in TMPDIR")
    t.contains(t.run([XAAS, "tune", "--list"]).stdout, "nothing was chosen")


harness.main()
