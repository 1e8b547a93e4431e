# SPDX-License-Identifier: Apache-2.0
"""xaas pack, of container images: layers over layers, as OCI layouts and docker archives."""

import gzip
import hashlib
import io
import json
import os
import tarfile

import harness
from packing import pack, plain_mount


def layer(*entries):
    """A tar of (name, content): bytes a file, str a symbolic link, None a folder, ("link", name)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.mtime = 10**9
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, tuple):
                info.type, info.linkname = tarfile.LNKTYPE, content[1]
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content or b"") if info.size else None)
    return out.getvalue()


LAYERS = [
    layer(("usr", None), ("usr/bin", None), ("usr/bin/a", b"a1"), ("usr/bin/b", b"b1"),
          ("usr/bin/c", b"c1"), ("etc", None), ("etc/gone", b"x"), ("etc/kept", b"kept"),
          ("opt", None), ("opt/old", b"old"), ("opt/deep", None), ("opt/deep/er", b"old"),
          ("was-folder", None), ("was-folder/file", b"x"), ("was-file", b"x"), ("bin", "usr/bin")),
    layer(("usr/bin/b", b"b2"), ("etc/.wh.gone", b""), ("opt/new", b"new"),
          ("opt/.wh..wh..opq", b""), ("was-folder", b"now a file"), ("was-file", None),
          ("was-file/inside", b"y"), ("usr/bin/.wh.c", b""), ("usr/bin/a-link", ("link", "usr/bin/a"))),
    layer(("usr/bin/c", b"c3"), ("etc/gone-too", b"x"), (".wh.nothing", b"")),
]
WANTED = {"usr/bin/a": b"a1", "usr/bin/a-link": b"a1", "usr/bin/b": b"b2", "usr/bin/c": b"c3",
          "etc/kept": b"kept", "etc/gone-too": b"x", "opt/new": b"new", "was-folder": b"now a file",
          "was-file/inside": b"y", "bin": "usr/bin"}


def digest(data):
    return hashlib.sha256(data).hexdigest()


def oci_files(layers, nested=False, platform=None):
    """Path -> bytes of an OCI image layout."""
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(data, **more):
        files[f"blobs/sha256/{digest(data)}"] = data
        return {"digest": f"sha256:{digest(data)}", "size": len(data), **more}

    def document(value, **more):
        return blob(json.dumps(value).encode(), **more)

    manifest = document({"schemaVersion": 2, "config": document({}), "layers": [
        blob(gzip.compress(data, mtime=0) if number else data) for number, data in enumerate(layers)]},
        **({"platform": platform} if platform else {}))
    index = {"schemaVersion": 2, "manifests": [manifest]}
    if nested:
        other = document({"layers": []}, platform={"architecture": "arm64", "os": "linux"})
        index = {"schemaVersion": 2, "manifests": [document({"manifests": [other, manifest]})]}
    files["index.json"] = json.dumps(index).encode()
    return files


def docker_files(layers):
    files, paths = {}, []
    for number, data in enumerate(layers):
        paths.append(f"{number:064x}/layer.tar")
        files[paths[-1]] = data
    files["manifest.json"] = json.dumps([{"Config": "c.json", "RepoTags": [], "Layers": paths}]).encode()
    return files


def write_folder(t, name, files):
    for path, data in files.items():
        target = t.scratch / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return t.scratch / name


def write_tar(t, name, files):
    (t.scratch / name).write_bytes(layer(*files.items()))
    return t.scratch / name


def contents(mnt):
    seen = {}
    for folder, folders, files in os.walk(mnt):
        for entry in [*files, *(name for name in folders if os.path.islink(f"{folder}/{name}"))]:
            path = os.path.join(folder, entry)
            seen[os.path.relpath(path, mnt)] = (
                os.readlink(path) if os.path.islink(path) else open(path, "rb").read())
    return seen


def test_every_way_gives_the_same_image(t):
    sources = [
        write_folder(t, "oci", oci_files(LAYERS)),
        write_tar(t, "oci.tar", oci_files(LAYERS)),
        write_tar(t, "nested.tar", oci_files(LAYERS, nested=True,
                                             platform={"architecture": "amd64", "os": "linux"})),
        write_tar(t, "docker.tar", docker_files(LAYERS)),
        write_folder(t, "docker", docker_files(LAYERS)),
    ]
    first = None
    for source in sources:
        pack(t, source, t.scratch / "i.sqfs")
        with plain_mount(t, t.scratch / "i.sqfs") as mnt:
            t.equal(contents(mnt), WANTED, f"files of {source.name}")
            t.equal(os.stat(mnt / "usr/bin/a").st_nlink, 2, "a link into an earlier layer")
        image = (t.scratch / "i.sqfs").read_bytes()
        first = first or image
        t.equal(image, first, f"image of {source.name}")


def test_exclude_is_about_the_root_file_system(t):
    pack(t, "--exclude", "usr", "--exclude", "b*", write_tar(t, "oci.tar", oci_files(LAYERS)),
         t.scratch / "i.sqfs")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.equal(sorted(os.listdir(mnt)), ["etc", "opt", "was-file", "was-folder"], "what is left")


def test_one_layer_under_two_names(t):
    """Docker archives link the second name of a layer to the first."""
    files = docker_files([LAYERS[0]])
    files["manifest.json"] = json.dumps([{"Layers": [f"{0:064x}/layer.tar", "second/layer.tar"]}]).encode()
    files["second/layer.tar"] = f"../{0:064x}/layer.tar"
    pack(t, write_tar(t, "docker.tar", files), t.scratch / "i.sqfs")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.equal((mnt / "usr/bin/a").read_bytes(), b"a1", "its file")


def test_other_manifests_are_files(t):
    root = write_folder(t, "web", {"manifest.json": b'[{"Layers": ["x"]}]', "index.html": b"<p>"})
    pack(t, root, t.scratch / "i.sqfs")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.equal(sorted(os.listdir(mnt)), ["index.html", "manifest.json"], "an ordinary folder")


def test_refusals(t):
    def refused(files, why):
        done = pack(t, write_tar(t, "bad.tar", files), t.scratch / "bad.sqfs", expect=1)
        t.contains(done.stderr, why)
        t.true(not (t.scratch / "bad.sqfs").exists(), "an image")

    good = oci_files(LAYERS)
    name = f"blobs/sha256/{digest(LAYERS[0])}"
    refused({**good, name: LAYERS[1]}, "is not what its digest says")
    refused({path: data for path, data in good.items() if path != name}, "is not in it")
    refused({**good, "index.json": b"[[[["}, "is no JSON")
    refused({**good, "index.json": b'{"manifests":[]}'}, "has none for x86-64")
    two = json.loads(good["index.json"])
    two["manifests"] *= 2
    refused({**good, "index.json": json.dumps(two).encode()}, "holds several images")
    two["manifests"] = [{"digest": "sha256:../../../../etc/passwd"}]
    refused({**good, "index.json": json.dumps(two).encode()}, "is not named by SHA-256")
    docker = docker_files(LAYERS)
    docker[f"{2:064x}/layer.tar"] = b"no tar" * 1000
    refused(docker, "layer.tar")
    refused(oci_files([layer(("../out", b"x"))]), "leaves the root file system")


harness.main()
