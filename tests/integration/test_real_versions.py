# SPDX-License-Identifier: Apache-2.0
"""Two versions of one Debian package, a security update apart: the second compiles what changed, and no more."""

import harness
from harness.programs import cache_stats

STEPS = [["./configure", "--disable-shared", "--disable-nls", "--disable-doc", "--disable-scripts",
          "--disable-xzdec", "--disable-lzmadec", "--disable-lzmainfo"],
         ["make", "-j2"]]


def check_results(t, served, xz, text):
    for options in (["-6"], ["-0", "-T2", "--block-size=65536"], ["-9e", "--format=lzma"]):
        plain = t.run([xz.plain / "src/xz/xz", "-c", *options], stdin=text, binary=True).stdout
        packed = served.run(["xz", "-c", *options], stdin=text, binary=True).stdout
        t.equal(packed, plain, f"bytes that xz {' '.join(options)} wrote")
        t.equal(served.run(["xz", "-dc"], stdin=packed, binary=True).stdout, text, "round trip")
    served.expect_native("/usr/bin/xz")


def module_counts(t):
    stats = cache_stats(t)
    return stats["module_hits"], stats["module_misses"]


def test_an_update_compiles_only_what_changed(t):
    trusted, counts = [], []
    for source in harness.debian_versions(t, "xz-utils"):
        xz = harness.BuiltTwice(t, "xz-utils", source=source)
        xz.build(STEPS)
        root = t.rootfs(f"root-{source.name}")
        root.add("/usr/bin/xz", xz.captured / "src/xz/xz")
        text = b"".join(path.read_bytes() for path in sorted(xz.plain.glob("src/*/*.c")))
        with harness.serve(t, root, pack_options=trusted) as served:
            check_results(t, served, xz, text)
        # Its results are there for images that say so.
        image = (t.scratch / "image.sqfs").rename(t.scratch / f"{source.name}.sqfs")
        trusted = ["--trust", image]
        counts.append(module_counts(t))
    (reused, compiled), (reused_later, compiled_later) = counts
    t.equal(reused, 0, "modules that the first took from nowhere")
    hits, misses = reused_later - reused, compiled_later - compiled
    print(f"of {hits + misses} modules the update compiled {misses}")
    t.true(misses > 0, "both versions are the same")
    t.true(hits > 5 * misses, f"only {hits} of {hits + misses} modules were taken from the version before")


harness.main()
