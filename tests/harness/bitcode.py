# SPDX-License-Identifier: Apache-2.0
"""Modules for tests: compiled by clang, taken to normal form and to a host by xaas-bitcode, linked
by ld.lld and looked at by llvm-objdump. The protocol is told in jit/jit_bitcode_protocol.h."""

import re
import struct
import subprocess
import tempfile

from .binaries import binary, need_command

QUESTION = struct.Struct("<8sIIQ")
ANSWER = struct.Struct("<8sIIQIIIIIIQ")

CAPTURED_ONLY = 1
HAS_EXTRAS, IS_CAPTURED_ONLY, NOT_OPTIMISED = 1, 2, 4


class Answer:
    def __init__(self, error, flags, data, reason, required, extras):
        self.error = error
        self.flags = flags
        self.data = data
        self.reason = reason.decode()
        self.required = {word for word in required.decode().split(",") if word}
        self.extras = {word for word in extras.decode().split(",") if word}
        self.fit = (0, 0, 0)  # functions, those told what a profile knows, those that it knows otherwise


def _questions(modules, flags):
    for data in modules:
        yield QUESTION.pack(b"xaasbcIN", flags, 0, len(data)) + data + bytes(-len(data) % 8)


def _answers(output):
    at = 0
    while at < len(output):
        _, error, flags, *sizes, functions, profiled, changed, _ = ANSWER.unpack_from(output, at)
        at += ANSWER.size
        parts = []
        for size in sizes:
            parts.append(output[at:at + size])
            at += size
        at += -at % 8
        answer = Answer(error, flags, *parts)
        answer.fit = (functions, profiled, changed)
        yield answer


def talk(arguments, modules, flags=0, timeout=120):
    """Asks one xaas-bitcode process; its exit status, its messages, its answers."""
    with tempfile.TemporaryFile() as questions, tempfile.TemporaryFile() as answers:
        questions.write(b"".join(_questions(modules, flags)))
        questions.seek(0)
        done = subprocess.run([binary("xaas-bitcode"), *arguments], stdin=questions,
                              stdout=answers, stderr=subprocess.PIPE, timeout=timeout)
        answers.seek(0)
        return done.returncode, done.stderr.decode(errors="replace"), list(_answers(answers.read()))


def normalise(t, module, *arguments):
    """The one answer about MODULE; fails the test if the process did not end well."""
    status, messages, answers = talk(["normalise", *arguments], [module])
    t.equal(status, 0, f"status of xaas-bitcode ({messages})")
    t.equal(len(answers), 1, "number of answers")
    return answers[0]


def retarget(t, module, features, tune="x86-64", captured_only=False):
    status, messages, answers = talk(
        ["retarget", f"--tune={tune}", f"--features={features}"], [module],
        CAPTURED_ONLY if captured_only else 0)
    t.equal(status, 0, f"status of xaas-bitcode ({messages})")
    t.equal(answers[0].error, 0, f"error ({answers[0].reason})")
    return answers[0].data


def compile_module(t, source, *flags, folder=".", name="module.c", lto="-flto=thin"):
    """Bytes of the bitcode that clang makes of SOURCE."""
    where = t.scratch / folder
    where.mkdir(parents=True, exist_ok=True)
    (where / name).write_text(source)
    compiler = need_command("clang++-19" if name.endswith("pp") else "clang-19")
    out = where / (name + ".bc")
    t.run([compiler, "--target=x86_64-pc-linux-gnu", "-O2", *flags, *([lto] if lto else []),
           "-c", where / name, "-o", out])
    return out.read_bytes()


def disassemble(t, module):
    """MODULE as text."""
    path = t.scratch / "disassembled.bc"
    path.write_bytes(module)
    return t.run([need_command("llvm-dis-19"), path, "-o", "-"]).stdout


def link(t, modules, features, *arguments, tune="x86-64", name="linked"):
    """Links MODULES (bytes of bitcode or of objects) with the C library to a program."""
    linker = need_command("ld.lld-19")
    paths = []
    for number, data in enumerate(modules):
        path = t.scratch / f"{name}.{number}.o"
        path.write_bytes(data)
        paths.append(path)
    program = t.scratch / name
    t.run([need_command("clang-19"), f"--ld-path={linker}", *paths, "-o", program,
           f"-Wl,-plugin-opt=mcpu={tune}", "-Xlinker", "-mllvm", "-Xlinker", f"-mattr={features}",
           *arguments])
    return program


def features_of(t, cpu, without=()):
    """The complete feature string of a machine like CPU that lacks WITHOUT, as LLVM spells it."""
    clang = need_command("clang-19")
    (t.scratch / "features.c").write_text("int f(void) { return 1; }\n")

    def positive(march):
        text = t.run([clang, "--target=x86_64-pc-linux-gnu", f"-march={march}", "-S", "-emit-llvm",
                      "-o", "-", t.scratch / "features.c"]).stdout
        return set(re.findall(r"\+([^,\"]+)", re.search(r'"target-features"="([^"]*)"', text)[1]))

    known = positive("graniterapids-d") | positive("znver5") | positive("bdver4") | \
        positive("clearwaterforest") | {"rtm", "ermsb", "fsrm"}
    has = positive(cpu) | positive("x86-64")
    return ",".join(("+" if name in has and name not in without else "-") + name
                    for name in sorted(known))


def code_of(t, program, function):
    """The instructions of FUNCTION, one a line."""
    text = t.run([need_command("llvm-objdump-19"), "-d", "--no-show-raw-insn",
                  "--no-leading-addr", f"--disassemble-symbols={function}", program]).stdout
    if f"<{function}>:" not in text:
        return None
    return text.split(f"<{function}>:", 1)[1].strip()


def uses_evex(code):
    return bool(re.search(r"%zmm|%[xy]mm(1[6-9]|2[0-9]|3[01])|%k[0-7]|\{1to", code))


def uses_avx(code):
    return bool(re.search(r"^\s*v[a-z0-9]+\s.*%[xyz]mm", code, re.M))
