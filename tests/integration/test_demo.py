# SPDX-License-Identifier: Apache-2.0
"""The demo, small: captured, packed, mounted, compiled on first open, run in container engines."""

import re

import harness


def demo(t, engine):
    """What tools/demo prints, after set-up and build."""
    harness.need_fuse()
    done = t.run([harness.SOURCE / "tests/bench/demo", "--engine", engine, "--rounds", 1,
                  "--size", 40, "--steps", 30], timeout=240, expect=None,
                 env={"XAASFS_BUILD": str(harness.BUILD)})
    missing = re.search(r"the engine .* is not installed", done.stderr)
    if missing:
        harness.skip(missing[0])
    t.equal(done.returncode, 0, f"status, with stderr {done.stderr!r}")
    return done.stdout


def served_natively(t, engine):
    shown = demo(t, engine)
    t.contains(shown, "bit-identical to the native build's")
    t.true(re.search(r"State of its library: native \S+ [0-9a-f]{64}", shown),
           f"the library was not served natively:\n{shown}")


def test_bwrap(t):
    served_natively(t, "bwrap")


def test_podman(t):
    served_natively(t, "podman")


def test_charliecloud(t):
    served_natively(t, "ch-run")


def test_apptainer(t):
    served_natively(t, "apptainer")


def test_runc(t):
    served_natively(t, "runc")


def test_an_unknown_engine_is_named(t):
    done = t.run([harness.SOURCE / "tests/bench/demo", "--engine", "dokcer"], expect=1)
    t.contains(done.stderr, "unknown engine 'dokcer'")


harness.main()
