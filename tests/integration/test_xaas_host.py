# SPDX-License-Identifier: Apache-2.0
"""xaas host: this machine and recorded ones."""

import json
import os
import pathlib

import harness

XAAS = harness.binary("xaas")
MACHINES = harness.SOURCE / "tests/machines"


def told(t, *arguments):
    return json.loads(t.run([XAAS, "host", "--json", *arguments]).stdout)


def features_of(report):
    return {name[1:] for name in report["features"].split(",") if name.startswith("+")}


def test_this_machine(t):
    report = told(t)
    allowed = os.sched_getaffinity(0)
    topology, compiling = report["topology"], report["compiling"]
    t.true(set(topology) == {"packages", "cores", "units", "allowed", "caches", "memory"},
           f"topology: {topology}")
    t.true(topology["units"] >= len(allowed) and topology["cores"] >= 1, f"cores: {topology}")
    t.true(sum(node["bytes"] for node in topology["memory"]) > 1 << 28, "memory of all nodes")
    t.equal(compiling["units"], len(allowed))
    t.true(1 <= compiling["threads"] <= len(allowed), f"threads: {compiling}")
    tuning = report["tuning"]
    t.equal(tuning["model"], report["tune"])
    t.true(tuning["llvm"].isprintable() and tuning["llvm"], "LLVM's own name")
    t.true(not set(tuning["lacking"]) & features_of(report), "both lacking and there")
    text = t.run([XAAS, "host"]).stdout
    for label in ("machine", "tuned for", "LLVM says", "features", "memory", "cores", "compiling"):
        t.contains(text, "\n" + label if label != "machine" else label)


def test_fewer_cores(t):
    one = min(os.sched_getaffinity(0))
    report = json.loads(t.run([harness.need_command("taskset"), "-c", str(one), XAAS, "host",
                               "--json"]).stdout)
    t.equal(report["topology"]["allowed"], str(one))
    t.equal(report["compiling"], {"units": 1, "threads": 1, "quota": report["compiling"]["quota"]})
    t.contains(t.run(["taskset", "-c", str(one), XAAS, "host"]).stdout, "1 thread at once")


# What a cgroup grants is a limit, whatever the affinity says.
def test_quota(t):
    harness.need_root()
    own = pathlib.Path("/proc/self/cgroup").read_text().strip().split("::")[-1].lstrip("/")
    group = pathlib.Path("/sys/fs/cgroup") / own / f"xaasfs-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        harness.skip(f"no cgroup can be made here: {error}")
    try:
        if not (group / "cpu.max").exists():
            harness.skip("the cpu controller is not passed on to new cgroups")
        (group / "cpu.max").write_text("100000 100000")
        script = f"echo $$ > {group}/cgroup.procs && exec {XAAS} host --json"
        report = json.loads(t.run(["sh", "-c", script]).stdout)
        t.equal((report["compiling"]["quota"], report["compiling"]["threads"]), (1, 1))
    finally:
        group.rmdir()


def test_recorded_here(t):
    record = t.scratch / "here.machine"
    record.write_text(t.run([XAAS, "host", "--record"]).stdout)
    here, recorded = told(t), told(t, "--target", record)
    for key in ("triple", "tune", "features", "machine", "left_out"):
        t.equal(recorded[key], here[key], key)
    t.equal(recorded["label"], "here")
    t.true("topology" not in recorded and "llvm" not in recorded["tuning"], "of another machine")


def test_recorded_elsewhere(t):
    guest = told(t, "--target", MACHINES / "sapphire-rapids-guest.machine")
    t.equal(guest["machine"]["model"], 167)
    t.equal((guest["tune"], guest["machine"]["guest"]), ("sapphirerapids", True))
    t.true({"avx512fp16", "amx-tile"} <= features_of(guest), f"features: {guest['features']}")
    t.contains(told(t, "--target", MACHINES / "zen5-guest.machine")["left_out"]["rdseed"],
               "/proc/cpuinfo does not list rdseed")
    text = t.run([XAAS, "host", "--target", MACHINES / "skylake-x-not-saved.machine"]).stdout
    t.contains(text, "avx512f avx512vl evex512: cpuid shows it, but the system")
    t.contains(text, "tuned for  skylake ")
    fugaku = told(t, "--target", MACHINES / "a64fx.machine")
    t.equal((fugaku["triple"], fugaku["tune"]), ("aarch64-unknown-linux-gnu", "a64fx"))
    t.equal(fugaku["tuning"]["by"], "identification")
    t.equal(fugaku["tuning"]["lacking"], ["aes"])
    t.equal(fugaku["machine"]["cores"], [{"midr": 0x461f0010, "number": 48, "model": "a64fx"}])
    t.contains(t.run([XAAS, "host", "--target", MACHINES / "rk3588.machine"]).stdout,
               "4 cores of cortex-a55 (412fd050), 4 cores of cortex-a76")


def test_what_is_no_record(t):
    for text, reason in (("", "it is empty"), ("machine x86-64\nnonsense\n", "line 2 is not one")):
        path = t.scratch / "bad.machine"
        path.write_text(text)
        t.contains(t.run([XAAS, "host", "--target", path], expect=2).stderr, reason)
    t.contains(t.run([XAAS, "host", "--target", t.scratch / "none"], expect=2).stderr,
               "No such file")


def test_without_the_companions(t):
    done = t.run([XAAS, "host"], env={"XAASFS_LIBEXEC": "/nonexistent"})
    t.contains(done.stderr, "cannot tell what LLVM calls this machine")
    t.contains(done.stdout, "features ")
    t.true("LLVM says" not in done.stdout, "a name out of nothing")


harness.main()
