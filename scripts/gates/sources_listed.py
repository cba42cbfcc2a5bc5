#!/usr/bin/python3
"""Makefile.am lists every file of src/, every unit test and fuzz target and every program of tests/bench/, and
nothing that is not there.

With --fix it writes the four lists anew."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

MAKEFILE = "Makefile.am"


def wanted(root):
    """{Makefile variable: (files, how a file stands in the list)}"""
    sources = [str(p.relative_to(root)) for p in gate.files(root, "src", ".c", ".h")]
    tests = [str(p.relative_to(root).with_suffix("")) for p in gate.files(root, "tests/unit", ".c")
             if p.name.startswith("test_")]
    targets = [str(p.relative_to(root).with_suffix("")) for p in gate.files(root, "tests/fuzz", ".c")
               if p.name.startswith("fuzz_")]
    bench = [str(p.relative_to(root).with_suffix("")) for p in gate.files(root, "tests/bench", ".c")]
    return {
        "libtoken_a_SOURCES": [path for path in sources if path != "src/main.c"],
        "UNIT_TESTS": tests,
        "FUZZ_TARGETS": targets,
        "BENCHMARKS": bench,
    }


def variable(name):
    return re.compile(rf"^{name} =((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)


def check(root):
    text = gate.read(root / MAKEFILE)
    for name, expected in wanted(root).items():
        match = variable(name).search(text)
        if not match:
            yield gate.Fault(MAKEFILE, 0, f"has no variable {name}")
            continue
        listed = match.group(1).replace("\\\n", " ").split()
        line = gate.line_of(text, match.start())
        for path in sorted(set(expected) - set(listed)):
            yield gate.Fault(MAKEFILE, line, f"{name} lacks {path}: run scripts/gates/sources_listed.py --fix")
        for path in sorted(set(listed) - set(expected)):
            yield gate.Fault(MAKEFILE, line, f"{name} lists {path}, which is not there")
    for path in gate.files(root, "tests/unit", ".c"):
        if not path.name.startswith("test_"):
            yield gate.Fault(path.relative_to(root), 0, "unit tests are test_<module>.c; shared code is a header")


def fix(root):
    path = root / MAKEFILE
    text = gate.read(path)
    for name, expected in wanted(root).items():
        lines = " \\\n".join([f"{name} ="] + ["\t" + each for each in expected])
        text = variable(name).sub(lambda _, lines=lines: lines, text)
    if text != gate.read(path):
        path.write_text(text, encoding="utf-8")
        print(f"{MAKEFILE}: lists written anew")


_M = "libtoken_a_SOURCES = \\\n\tsrc/base/a.c\nUNIT_TESTS = \\\n\ttests/unit/test_a\n" \
     "FUZZ_TARGETS = \\\n\ttests/fuzz/fuzz_a\nBENCHMARKS = \\\n\ttests/bench/a/b\n"
_FILES = {"src/main.c": "", "src/base/a.c": "", "tests/unit/test_a.c": "", "tests/fuzz/fuzz_a.c": "",
          "tests/bench/a/b.c": ""}
SELF_TEST = [
    gate.Case("good", {MAKEFILE: _M, **_FILES}, None),
    gate.Case("source not listed", {MAKEFILE: _M, **_FILES, "src/base/b.h": ""}, "lacks src/base/b.h"),
    gate.Case("test not listed", {MAKEFILE: _M, **_FILES, "tests/unit/test_b.c": ""}, "lacks tests/unit/test_b"),
    gate.Case("target not listed", {MAKEFILE: _M, **_FILES, "tests/fuzz/fuzz_b.c": ""}, "lacks tests/fuzz/fuzz_b"),
    gate.Case("program not listed", {MAKEFILE: _M, **_FILES, "tests/bench/b.c": ""}, "lacks tests/bench/b"),
    gate.Case("file gone", {MAKEFILE: _M, **{k: v for k, v in _FILES.items() if "src/base" not in k}}, "src/base/a.c, which is not there"),
    gate.Case("odd name", {MAKEFILE: _M, **_FILES, "tests/unit/a.c": ""}, "test_<module>.c"),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["--fix"]:
        fix(gate.repository_root())
        sys.exit(0)
    sys.exit(gate.main(__doc__, check, SELF_TEST))
