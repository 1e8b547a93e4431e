# SPDX-License-Identifier: Apache-2.0
"""The harness itself: what it reports must be what happened."""

import os
import sys

import harness


def run_file(t, text):
    """Runs TEXT as a test file of its own."""
    path = t.scratch / "inner.py"
    path.write_text(f"import harness\n{text}\nharness.main()\n")
    return t.run([sys.executable, path], expect=None, timeout=60,
                 env={"PYTHONPATH": str(harness.SOURCE / "tests"), "TMPDIR": str(t.scratch)})


def test_all_passed(t):
    done = run_file(t, "def test_a(t):\n    t.equal(1, 1)\n")
    t.equal(done.returncode, 0)
    t.contains(done.stdout, "pass test_a")


def test_one_failure_fails_the_file(t):
    done = run_file(t, "def test_a(t):\n    t.equal(1, 2)\ndef test_b(t):\n    pass\n")
    t.equal(done.returncode, 1)
    t.contains(done.stdout, "fail test_a")
    t.contains(done.stdout, "pass test_b")
    t.contains(done.stdout, "seen 1, wanted 2")


def test_only_skips_skip_the_file(t):
    done = run_file(t, "def test_a(t):\n    harness.skip('no such hardware')\n")
    t.equal(done.returncode, 77)
    t.contains(done.stdout, "skip test_a: no such hardware")


def test_a_file_without_tests_fails(t):
    t.equal(run_file(t, "").returncode, 1)


def test_unexpected_status_fails(t):
    done = run_file(t, "def test_a(t):\n    t.run(['sh', '-c', 'echo why >&2; exit 3'])\n")
    t.equal(done.returncode, 1)
    t.contains(done.stdout, "status 3, expected 0")
    t.contains(done.stdout, "why")


def test_background_processes_end_with_their_test(t):
    done = run_file(t, "def test_a(t):\n    print('pid', t.start(['sleep', '1000']).pid)\n")
    t.equal(done.returncode, 0)
    pid = int(done.stdout.split()[1])
    t.true(not os.path.exists(f"/proc/{pid}"), f"process {pid} still runs")


def test_scratch_folders_go_unless_the_test_fails(t):
    script = "def test_a(t):\n    print('folder', t.scratch)\n    t.true({}, 'asked to fail')\n"
    for passes in (True, False):
        done = run_file(t, script.format(passes))
        folder = done.stdout.split()[1]
        t.equal(os.path.exists(folder), not passes, "scratch folder exists")
        if not passes:
            os.rmdir(folder)


def test_a_minimal_root_runs_programs(t):
    root = t.rootfs()
    root.add_commands("sh", "ls")
    root.add_libraries()
    bwrap = harness.need_command("bwrap")
    container = [bwrap, "--ro-bind", root.path, "/", "--proc", "/proc", "--dev", "/dev",
                 "--tmpfs", "/tmp", "--unshare-all"]
    probe = t.run([*container, "/usr/bin/sh", "-c", "echo here"], expect=None)
    if "No permissions" in probe.stderr or "Operation not permitted" in probe.stderr:
        harness.skip("bwrap may not create namespaces here; run as root, or allow user namespaces: "
                     "sysctl kernel.unprivileged_userns_clone=1")
    t.equal(probe.stdout, "here\n")
    t.contains(t.run([*container, "/bin/ls", "/etc"]).stdout, "passwd")


def test_a_mount_that_cannot_start_says_why(t):
    harness.binary("xaasfs")
    try:
        t.mount(t.scratch / "absent.sqfs")
    except harness.TestFailure as failure:
        t.contains(str(failure), "absent.sqfs")
        return
    t.true(False, "a mount of an absent image was reported as mounted")


def test_a_killed_mount_leaves_no_mount_point(t):
    image = t.squashfs({"greeting": b"hello\n"})
    mount = t.mount(image)
    with mount as mnt:
        t.equal((mnt / "greeting").read_bytes(), b"hello\n")
        mount.kill()
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        t.true(str(mount.path) not in mounts.read(), "the mount point is still mounted")


harness.main()
