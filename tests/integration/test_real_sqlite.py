# SPDX-License-Identifier: Apache-2.0
"""sqlite3: its shell, and its speed test with the verification hash; one very large module."""

import re

import harness

QUERIES = """
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
insert into t select i, printf('row %05d', (i * 7919) % 20000), i / 7.0 from n;
create index tb on t(b);
select count(*), sum(a), round(sum(c), 3), min(b), max(b) from t;
select b, a from t where b between 'row 00100' and 'row 00105' order by b;
select json_extract('{"x": [1, 2, {"y": 3}]}', '$.x[2].y'), hex(zeroblob(4)), quote(1e100);
select a % 10 as k, count(*), avg(length(b)) from t group by k having k < 3;
pragma integrity_check;
"""


def without_times(report):
    """speedtest1 says after each test how many seconds it took."""
    return re.sub(r"\.*\s+[\d.]+s$", "", report, flags=re.MULTILINE)


def test_sqlite(t):
    sqlite = harness.BuiltTwice(t, "sqlite3")
    sqlite.build([["./configure", "--disable-tcl", "--disable-readline", "--disable-shared"],
                  ["make", "sqlite3.c", "shell.c"],
                  ["cc", "-O2", "-I.", "-DSQLITE_THREADSAFE=0", "-c", "sqlite3.c"],
                  ["cc", "-O2", "-I.", "shell.c", "sqlite3.o", "-lm", "-o", "sqlite3"],
                  ["cc", "-O2", "-I.", "test/speedtest1.c", "sqlite3.o", "-lm", "-o", "speedtest1"]])
    root = t.rootfs()
    for program in ("sqlite3", "speedtest1"):
        root.add(f"/usr/bin/{program}", sqlite.captured / program)
    speed = ["--size", "5", "--verify", "--memdb"]

    with harness.serve(t, root) as served:
        t.equal(served.run(["sqlite3", "-batch", ":memory:"], stdin=QUERIES).stdout,
                t.run([sqlite.plain / "sqlite3", "-batch", ":memory:"], stdin=QUERIES).stdout, "answers")
        seen = without_times(served.run(["speedtest1", *speed]).stdout)
        t.contains(seen, "Verification Hash")
        t.equal(seen, without_times(t.run([sqlite.plain / "speedtest1", *speed]).stdout), "speedtest1")
        served.expect_native("/usr/bin/sqlite3", "/usr/bin/speedtest1")


harness.main()
