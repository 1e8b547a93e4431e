# SPDX-License-Identifier: Apache-2.0
"""SIF images as Apptainer itself builds them, and mounts as what it runs containers from."""

import harness
from bench.engines import EngineMissing, engine
from harness.observe import observe, walk


def apptainer(t):
    try:
        return engine("apptainer", t.scratch)
    except EngineMissing as missing:
        harness.skip(str(missing))


def built_by_apptainer(t):
    """(image, the folder that it was built from)"""
    apptainer(t)
    root = t.rootfs()
    root.add_commands("cat", "sh")
    root.inside("/etc/said").write_text("said by the image\n")
    (root.path / "usr/lib/large").write_bytes(bytes(range(256)) * 20_000)
    root.add_libraries()
    image = t.scratch / "image.sif"
    t.run(["apptainer", "build", image, root.path], timeout=300)
    return image, root.path


def test_what_it_builds(t):
    image, folder = built_by_apptainer(t)
    with t.mount(image) as mnt:
        files = [path for path in map(bytes.decode, walk(folder)) if not (folder / path).is_dir()]
        t.true(len(files) > 10, files)
        for path in files:
            seen, wanted = observe(mnt / path), observe(folder / path)
            for field in ("content", "readlink", "st_size", "st_mode"):
                t.equal(seen.get(field), wanted.get(field), f"{path}: {field}")
        # What it adds itself.
        t.true((mnt / ".singularity.d/runscript").exists(), "this is not the partition with the root")


def test_what_it_runs(t):
    image, _ = built_by_apptainer(t)
    words = apptainer(t)
    with t.mount(image) as mnt:
        for root in (mnt, image):
            t.equal(t.run(words(root, ["cat", "/etc/said"])).stdout, "said by the image\n", str(root))


if __name__ == "__main__":
    harness.main()
