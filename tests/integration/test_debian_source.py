# SPDX-License-Identifier: Apache-2.0
"""tools/debian-source: finds the machine's own mirror in whatever way apt was told, and checks it."""

import harness

TOOL = harness.SOURCE / "tools/debian-source"


def configured(t, files):
    """Environment in which apt's sources are FILES, and this script's apt state is private."""
    parts = t.scratch / "sources.list.d"
    parts.mkdir()
    for name, text in files.items():
        (t.scratch / name).write_text(text)
    config = t.scratch / "apt.conf"
    config.write_text(f'Dir::Etc::sourcelist "{t.scratch}/sources.list";\n'
                      f'Dir::Etc::sourceparts "{parts}";\n')
    return {"APT_CONFIG": str(config), "XAASFS_APT_STATE": str(t.scratch / "state")}


def own_suite():
    with open("/etc/os-release", encoding="utf-8") as release:
        for line in release:
            if line.startswith("VERSION_CODENAME="):
                return line.strip().partition("=")[2]
    return harness.skip("this machine's release has no code name")


def mirrors(t, files):
    harness.need_command("apt-config")
    return t.run([TOOL, "--mirrors"], env=configured(t, files)).stdout.split()


def test_one_line_entries(t):
    suite = own_suite()
    t.equal(mirrors(t, {"sources.list": f"""
# deb http://comment.invalid/debian {suite} main
deb [arch=amd64 signed-by=/some/key.gpg] http://a.invalid/debian {suite} contrib main
deb http://a.invalid/security {suite}-security main
deb-src http://source.invalid/debian {suite} main
deb http://vendor.invalid/apt stable main
""", "sources.list.d/more.list": f"deb http://b.invalid/debian {suite} main\n"}),
            ["http://a.invalid/debian", "http://b.invalid/debian"])


def test_deb822_entries(t):
    suite = own_suite()
    t.equal(mirrors(t, {"sources.list.d/debian.sources": f"""# the archive
Types: deb deb-src
URIs: http://a.invalid/debian
  http://b.invalid/debian
Suites: {suite} {suite}-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: http://not-a-field.invalid

Types: deb
URIs: http://off.invalid/debian
Suites: {suite}
Components: main
Enabled: no

types: deb
uris: http://lower.invalid/debian
suites: {suite}
components: contrib main
""", "sources.list.d/vendor.sources": "Types: deb\nURIs: http://vendor.invalid\nSuites: any\nComponents: main"}),
            ["http://a.invalid/debian", "http://b.invalid/debian", "http://lower.invalid/debian"])


def test_an_unreachable_archive_is_named_and_nothing_is_left(t):
    harness.need_command("apt-get")
    env = configured(t, {"sources.list": f"deb http://127.0.0.1:9/debian {own_suite()} main\n"})
    target = t.scratch / "zlib"
    done = t.run([TOOL, "zlib", target], env=env, expect=1)
    t.contains(done.stderr, "127.0.0.1")
    t.contains(done.stderr, "check the network")
    t.true(not target.exists(), "a failed fetch left its folder")


def test_an_archive_that_debian_did_not_sign_is_refused(t):
    """A mirror with a forged package list; served from a folder, as apt allows."""
    harness.need_command("apt-get")
    suite = own_suite()
    mirror = t.scratch / "mirror/dists" / suite
    (mirror / "main/source").mkdir(parents=True)
    (mirror / "main/source/Sources").write_text("")
    (mirror / "Release").write_text(f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\n"
                                    "Date: Sat, 01 Nov 2025 00:00:00 UTC\nComponents: main\n")
    env = configured(t, {"sources.list": f"deb [trusted=yes] file:{t.scratch}/mirror {suite} main\n"})
    done = t.run([TOOL, "zlib", t.scratch / "zlib"], env=env, expect=1)
    t.contains(done.stderr, "not signed")


def test_misspelt_options_are_named(t):
    t.contains(t.run([TOOL, "--suit", "x"], expect=1).stderr, "unknown option '--suit'")


harness.main()
