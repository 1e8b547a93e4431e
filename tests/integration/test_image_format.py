# SPDX-License-Identifier: Apache-2.0
"""xaas-image(5) is true: a reader written from it reads what pack writes, field by field."""

import hashlib
import os
import re
import shutil

import harness
from image_reader import Bundle
from packing import Fat, pack, plain_mount

RECORD = {"format", "version", "machine", "producer", "variants", "kept_native"}
VARIANT = {"name", "required", "recipe", "inputs", "stubs", "exports"}
RECIPE = {"kind", "linker", "interpreter", "soname", "rpath", "rpath_is_old", "needed",
          "interposable", "options"}
INPUT = {"kind", "digest", "size", "name", "lazy", "has_constructors", "raw", "has_extras",
         "extras", "required", "captured_only"}
STUB = {"soname", "digest", "size", "needed"}
PROGRAM = {"path", "record", "size", "baseline", "elf"}


def page():
    text = (harness.SOURCE / "man/xaas-image.5").read_text(encoding="utf-8")
    return re.sub(r"\\f.", "", text).replace("\\-", "-")


def make_image(t, *flags):
    """Programs of enough modules that a dictionary pays."""
    fat = Fat(t)
    root = t.scratch / "root"
    modules = []
    for number in range(40):
        body = "".join(f"int f{number}_{i}(int *x, int n) {{ int s = {i}; for (int j = 0; j < n; j++)"
                       f" s += x[j] * {number + i}; return s; }}\n" for i in range(12))
        modules.append(fat.object(f"m{number}", body))
    modules.append(fat.object("main", "int main(void) { return 0; }\n"))
    modules.append(fat.object("wide", '__attribute__((target("avx2"))) int wide(void) { return 2; }\n'))
    script = fat.folder / "script"
    script.write_text("V { global: *; };")
    libc = fat.library("libc.so.6")
    plain = fat.link("plain", modules, "-Wl,-rpath,$ORIGIN")
    fat.elf(plain, root / "bin/many", [*modules, "--stub", libc, "--text", script])
    library = fat.link("lib.plain", modules[:3], "-shared", "-Wl,-soname,libmany.so.1")
    fat.elf(library, root / "lib/libmany.so.1", [*modules[:3], "--stub", libc])
    shutil.copy(libc, root / "lib/libc.so.6")
    image = t.scratch / "i.sqfs"
    pack(t, *flags, root, image)
    return image


def check_blob(t, bundle, entry, kinds):
    kind, data = bundle.blobs[entry["digest"]]
    t.true(kind in kinds, f"{entry} names a blob of kind {kind}")
    t.equal(len(data), entry["size"], f"size of {entry}")
    return data


def check_variant(t, bundle, variant):
    recipe = variant["recipe"]
    t.true(set(variant) <= VARIANT and set(recipe) <= RECIPE, "keys of the page")
    t.true({"kind", "linker"} <= set(recipe), "keys that a recipe must have")
    for entry in variant.get("inputs", []):
        t.true(set(entry) <= INPUT and "raw" not in entry, f"keys of {entry}")
        data = check_blob(t, bundle, entry, [entry["kind"]])
        if entry["kind"] == "module":
            t.equal(data[:4], b"BC\xc0\xde", "what bitcode starts with")
    for entry in variant.get("stubs", []):
        t.true(set(entry) <= STUB, f"keys of {entry}")
        check_blob(t, bundle, entry, ["stub"])
    for option in recipe.get("options", []):
        t.true(set(option) <= {"text", "file"}, f"keys of {option}")
        t.true(bundle.blobs[option["file"]][0] == "text" if "file" in option else True, "its file")


def check_program(t, bundle, program, mnt):
    t.true(set(program) <= PROGRAM, f"keys of {program}")
    record = bundle.manifest(program["record"])
    t.true(set(record) <= RECORD, f"keys of the record of {program['path']}")
    t.equal((record["format"], record["version"], record["machine"]), ("xaas-record", 1, "x86_64"),
            "what a record says of itself")
    for variant in record["variants"]:
        check_variant(t, bundle, variant)
    content = (mnt / program["path"]).read_bytes()
    if program.get("baseline"):
        t.equal(hashlib.sha256(content).hexdigest(), program["elf"], "digest of the generic ELF")
        t.equal(program["size"], (2 * len(content) + 262144 + 65535) // 65536 * 65536, "its promise")
    else:
        t.true(content.startswith(b"# xaas portable object\n"), "the text of a lean image")
    return record


def check_image(t, image, baseline):
    with plain_mount(t, image) as mnt:
        bundle = Bundle((mnt / ".xaas/bundle").read_bytes())
        manifest = bundle.manifest()
        t.equal((manifest["format"], manifest["version"]), ("xaas-image", 1), "manifest")
        paths = [program["path"] for program in manifest["programs"]]
        t.equal(paths, ["bin/many", "lib/libmany.so.1"], "programs")
        t.equal([program.get("baseline", False) for program in manifest["programs"]],
                [baseline] * 2, "baseline")
        records = [check_program(t, bundle, program, mnt) for program in manifest["programs"]]
        named = {entry["digest"] for record in records for variant in record["variants"]
                 for entry in variant["inputs"] + variant["stubs"]}
        named |= {option["file"] for record in records for variant in record["variants"]
                  for option in variant["recipe"].get("options", []) if "file" in option}
        named |= {program["record"] for program in manifest["programs"]} | {bundle.root}
        others = {kind for digest, (kind, _) in bundle.blobs.items() if digest not in named}
        t.true(others <= {"dictionary"}, f"blobs that nothing names: {others}")
        return bundle, records


def test_normal_image(t):
    bundle, records = check_image(t, make_image(t), True)
    t.true("dictionary" in {kind for kind, _ in bundle.blobs.values()}, "no dictionary was made")
    t.equal(records[0]["variants"][0]["recipe"]["rpath"], "$ORIGIN", "rpath")
    wide = [entry for entry in records[0]["variants"][0]["inputs"] if entry["name"] == "wide.o"][0]
    t.true(wide["has_extras"] and "+avx2" in wide["extras"], f"features that a function asks for: {wide}")


def test_lean_image(t):
    check_image(t, make_image(t, "--lean"), False)


def test_page_names_every_option(t):
    """The vocabulary of jit/jit_link_options.c and that of the page are the same."""
    source = (harness.SOURCE / "jit/jit_link_options.c").read_text(encoding="utf-8")
    words = set(re.findall(r"[\w-]+", page()))

    def rows(table):
        body = re.search(rf"jit_link_option {table}\[\] = \{{(.*?)\n\}};", source, re.S)[1]
        return re.findall(r'\{"([^"]+)",\s*JIT_\w+,\s*(JIT_KEEP(?:_FILE)?),\s*(?:NULL|"([^"]+)")\}', body)

    t.true(len(rows("options")) > 50 and len(rows("keywords")) > 30, "the tables were not understood")
    missing = [f"--{canonical or name}" for name, _, canonical in rows("options")
               if f"--{canonical or name}" not in words and (canonical or name) != "O"]
    missing += [f"-z {canonical or name}" for name, _, canonical in rows("keywords")
                if (canonical or name) not in words]
    t.equal(missing, [], "options that the page does not name")


def test_page_names_every_key(t):
    text = page()
    for key in sorted(RECORD | VARIANT | RECIPE | INPUT | STUB | PROGRAM | {"trusted", "text", "file"}):
        t.true(re.search(rf"\b{key}\b", text), f"{key} is not in the page")


harness.main()
