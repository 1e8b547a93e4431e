# SPDX-License-Identifier: Apache-2.0
"""bench/fs over a tree made here: that it measures what it says, not how fast anything is."""

import os
import re

import harness
from bench import debian_image

FILES = 300


def small_folder(t):
    """What the bench would make of Debian, as a tree small enough for a test."""
    root = t.scratch / "shelf/root"
    for number in range(FILES):
        path = root / f"usr/lib/{number % 10}/file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"line {number}\n" * 1000)
    debian_image.add_bench_files(root, big_size=8 << 20)
    return root.parent


def measured(t, rows):
    """{label: [words]} of the last table, and all that was printed."""
    harness.need_fuse()
    harness.need_root()
    harness.need_command("squashfuse_ll")
    if not os.path.exists("/dev/loop-control"):
        harness.skip("there are no loop devices here; give the container /dev/loop-control")
    if not os.access("/proc/sys/vm/drop_caches", os.W_OK):
        harness.skip("/proc/sys is read-only here, so caches cannot be emptied")
    done = t.run([harness.SOURCE / "tests/bench/fs", "--quick", "--folder", small_folder(t),
                  "--rows", rows], timeout=240, env={"XAASFS_BUILD": str(harness.BUILD)})
    shown = done.stdout
    tables = re.split(r"\n *(?=lookup)", shown)
    t.equal(len(tables), 2, f"tables of counts in:\n{shown}")
    titles, *lines = [re.split(r" {2,}", line.strip()) for line in tables[1].splitlines()]
    return {line[0]: dict(zip(titles, map(int, line[1:]))) for line in lines
            if len(line) == len(titles) + 1}, shown


def test_counts_beside_times(t):
    counts, shown = measured(t, "mount,warm-open,cold-read,cold-read-4,sequence,random,exec")
    for label in ("mount to ready, first", "mount to ready, again", "10,000 warm opens and closes",
                  "cold read of everything", "the same, four readers",
                  "100 warm execs of a static program", "Bare decompression of all", "Memory at most"):
        t.contains(shown, label)
    for label in ("cold read of everything", "the same, four readers"):
        of_all = counts[label]
        t.true(of_all["read"] >= FILES, f"too few reads: {of_all}")
        t.true(of_all["blocks"] >= 128, f"16 MiB were read out of {of_all}")
        t.true(of_all["ahead"] >= of_all["used"] > 0, f"no read-ahead: {of_all}")
        t.equal(of_all["twice"], 0, "blocks decompressed twice")
        t.equal(of_all["copied"], 19, "MiB of all files")
    t.equal(counts["cold big files in sequence"]["copied"], 16, "MiB of both")


def test_unknown_rows_are_named(t):
    done = t.run([harness.SOURCE / "tests/bench/fs", "--rows", "cold-wlak"], expect=2,
                 env={"XAASFS_BUILD": str(harness.BUILD)})
    t.contains(done.stderr, "there is no row 'cold-wlak'; there are: mount,")


harness.main()
