# SPDX-License-Identifier: Apache-2.0
"""xaas itself: commands are found, what is misspelt is refused by name, xaas host, xaas cache."""

import json
import os
import re

import harness

XAAS = harness.binary("xaas")


def refused(t, *words):
    done = t.run([XAAS, *words], expect=2)
    t.equal(done.stdout, "", "standard output")
    return done.stderr


def test_help_lists_commands(t):
    help_text = t.run([XAAS, "--help"]).stdout
    for command in ("cache", "host", "prewarm"):
        t.contains(help_text, f"\n  {command} ")
        t.contains(t.run([XAAS, command, "--help"]).stdout, f"usage: xaas {command}")
    t.contains(t.run([XAAS, "--version"]).stdout, "xaas 0.")


def test_misspelt_words_are_named(t):
    t.contains(refused(t, "cahce"), "did you mean `xaas cache`?")
    t.contains(refused(t, "dance"), "there is no command dance")
    t.contains(refused(t), "a command is missing")
    t.contains(refused(t, "cache", "sttas"), "did you mean stats?")
    t.contains(refused(t, "cache", "stats", "--jsn"), "did you mean --json?")
    t.contains(refused(t, "cache", "stats", "--js"), "there is no option --js;")
    t.contains(refused(t, "cache", "stats", "-z"), "there is no option -z")
    t.contains(refused(t, "cache", "stats", "--json=yes"), "takes no value")
    t.contains(refused(t, "cache", "gc", "--size"), "needs a value")
    t.contains(refused(t, "cache", "gc", "--size=lots"), "lots is no size")
    t.contains(refused(t, "cache", "stats", "twice"), "one word too many")
    t.contains(refused(t, "cache"), "say what to do")
    t.contains(refused(t, "host", "--target", "x86-64-v9"), "x86-64-v9")


def test_the_manual_has_every_option(t):
    manual = (harness.SOURCE / "man" / "xaas.1").read_text().replace("\\-", "-")
    for command in re.findall(r"^  (\w+) ", t.run([XAAS, "--help"]).stdout, re.MULTILINE):
        t.contains(manual, f".SS xaas {command}")
        section = manual.split(f".SS xaas {command}")[1].split("\n.S")[0]
        help_text = t.run([XAAS, command, "--help"]).stdout
        for option in re.findall(r"--[a-z-]+", help_text):
            if option != "--help":
                t.contains(section, option)


def test_host(t):
    told = json.loads(t.run([XAAS, "host", "--json"]).stdout)
    t.equal(told["label"], "native")
    t.contains(told["features"], "+sse2")
    v3 = json.loads(t.run([XAAS, "host", "--json", "--target=x86-64-v3"]).stdout)
    t.contains(v3["features"], "+avx2")
    t.contains(v3["features"], "-avx512f")
    t.contains(t.run([XAAS, "host"]).stdout, "sse2")


def test_cache_folder_is_chosen(t):
    stats = json.loads(t.run([XAAS, "cache", "stats", "--json"]).stdout)
    t.equal(stats["directory"], str(t.cache))
    t.equal(stats["compiles"], 0)
    elsewhere = t.scratch / "elsewhere"
    t.contains(t.run([XAAS, "cache", "--cache", elsewhere, "stats"], expect=1).stderr, "No such file")
    t.true(not elsewhere.exists(), "a folder was made of a typing error")
    t.run([XAAS, "cache", "--cache", elsewhere, "limit", "--size", "1G"])
    t.true((elsewhere / "v1" / "objects").is_dir(), "the cache was made")
    t.contains(t.run([XAAS, "cache", "--cache", elsewhere, "stats"]).stdout, str(elsewhere))


def test_the_limit_is_kept(t):
    t.contains(t.run([XAAS, "cache", "limit"]).stdout, "10.0 GiB")
    t.contains(t.run([XAAS, "cache", "limit", "--size", "2G"]).stdout, "2.0 GiB")
    t.equal(json.loads(t.run([XAAS, "cache", "stats", "--json"]).stdout)["limit"], 2 << 30)
    (t.cache / "v1" / "limit").write_text("nonsense")
    t.contains(t.run([XAAS, "cache", "limit"]).stdout, "10.0 GiB")


def test_unsafe_cache_is_refused(t):
    unsafe = t.scratch / "unsafe"
    unsafe.mkdir()
    unsafe.chmod(0o777)
    done = t.run([XAAS, "cache", "stats", "--cache", unsafe], expect=1)
    t.contains(done.stderr, "others may write to unsafe")
    t.contains(done.stderr, "chmod go-w")


def test_verify_finds_damage(t):
    t.contains(t.run([XAAS, "cache", "verify"]).stdout, "none damaged")
    shelf = t.cache / "v1" / "objects" / "ab"
    shelf.mkdir(mode=0o700)
    (shelf / ("c" * 62)).write_bytes(b"not what was published")
    (shelf / ("c" * 62 + ".meta")).write_text("{}")
    done = t.run([XAAS, "cache", "verify"], expect=1)
    t.contains(done.stderr, "ab/cccc")
    t.contains(done.stdout, "1 of 1 were damaged and taken out")
    t.equal(os.listdir(shelf), [])
    t.equal(json.loads(t.run([XAAS, "cache", "verify", "--json"]).stdout),
            {"checked": 0, "damaged": 0})
    t.equal(json.loads(t.run([XAAS, "cache", "stats", "--json"]).stdout)["damaged"], 1)
    t.run([XAAS, "cache", "clear", "--counters"])
    t.equal(json.loads(t.run([XAAS, "cache", "stats", "--json"]).stdout)["damaged"], 0)


def test_shared_cache_of_root(t):
    """A cache that root fills for everyone: others may look, and change nothing."""
    harness.need_root()
    shared = t.scratch / "shared"
    shared.mkdir(mode=0o755)
    os.chmod(t.scratch, 0o755)
    t.run([XAAS, "cache", "stats", "--cache", shared])
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = t.run([*as_nobody, XAAS, "cache", "stats", "--cache", shared])
    t.contains(done.stdout, "(read-only)")
    done = t.run([*as_nobody, XAAS, "cache", "clear", "--cache", shared], expect=1)
    t.contains(done.stderr, "as its owner")
    done = t.run([*as_nobody, XAAS, "cache", "limit", "--size=2G", "--cache", shared], expect=1)
    t.contains(done.stderr, "as its owner")
    t.contains(t.run([*as_nobody, XAAS, "cache", "limit", "--cache", shared]).stdout, "10.0 GiB")


harness.main()
