# SPDX-License-Identifier: Apache-2.0
"""lua5.4: an interpreter that exports its symbols (-Wl,-E) to modules which it dlopens."""

import re

import harness

MODULE = r"""
#include "lua.h"
#include "lauxlib.h"

static int dot(lua_State *L)
{
        double sum = 0;
        lua_Integer n = luaL_len(L, 1);
        for (lua_Integer i = 1; i <= n; i++) {
                lua_geti(L, 1, i);
                lua_geti(L, 2, i);
                sum += luaL_checknumber(L, -1) * luaL_checknumber(L, -2);
                lua_pop(L, 2);
        }
        lua_pushnumber(L, sum);
        return 1;
}

static int complain(lua_State *L)
{
        return luaL_error(L, "thrown by a module: %s", luaL_checkstring(L, 1));
}

int luaopen_vectors(lua_State *L);
int luaopen_vectors(lua_State *L)
{
        static const luaL_Reg functions[] = {{"dot", dot}, {"complain", complain}, {NULL, NULL}};
        luaL_newlib(L, functions);
        return 1;
}
"""

SCRIPT = r"""
package.cpath = arg[1] .. "/?.so"
local vectors = require "vectors"
local a, b = {}, {}
for i = 1, 1000 do a[i] = i; b[i] = 1 / i end
print(string.format("%.6f", vectors.dot(a, b)))
print(pcall(vectors.complain, "as it should"))
local words = {}
for word in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do words[#words + 1] = word end
table.sort(words)
print(table.concat(words, " "), #words, 7 // 2, 2 ^ 10, 10 % 3, ("x"):rep(5))
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(co(), co(), co())
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
print(fib(24), math.type(3), math.type(3.0), string.pack("<i4", 42):byte(1, -1))
"""


def jumps_of_instructions(t, lua):
    """Through how many places in its main loop an interpreter goes to its next instruction."""
    code = t.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=luaV_execute", lua]).stdout
    return len(re.findall(r"jmp +\*", code))


def test_lua(t):
    lua = harness.BuiltTwice(t, "lua5.4", tar_only=True)
    lua.write("vectors.c", MODULE)
    lua.write("script.lua", SCRIPT)
    lua.build([["make", "-j2", "-C", "src", "linux-noreadline"],
               ["cc", "-O2", "-fPIC", "-shared", "-Isrc", "vectors.c", "-o", "vectors.so"]])
    root = t.rootfs()
    root.add("/usr/bin/lua", lua.captured / "src/lua")
    root.add("/usr/bin/luac", lua.captured / "src/luac")
    root.add("/usr/lib/lua/vectors.so", lua.captured / "vectors.so")
    root.add("/script.lua", lua.captured / "script.lua")

    with harness.serve(t, root) as served:
        plain = t.run([lua.plain / "src/lua", lua.plain / "script.lua", lua.plain]).stdout
        t.equal(served.run(["lua", "/script.lua", "/usr/lib/lua"]).stdout, plain, "output")
        listing = served.run(["luac", "-l", "-o", "/dev/null", "/script.lua"]).stdout
        t.contains(listing, "main </script.lua")
        served.expect_native("/usr/bin/lua", "/usr/bin/luac", "/usr/lib/lua/vectors.so")
        jumps = jumps_of_instructions(t, served.path / "usr/bin/lua")
        t.true(jumps > 70, f"each instruction of Lua goes to the next by itself, not {jumps} for all")


harness.main()
