#!/usr/bin/python3
"""C and Python files have at most 800 lines; above 400 the gate remarks on it. (Functions: clang-tidy, 60 lines.)"""

import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

REMARK = 400
LIMIT = 800


def sizes(root):
    for folder in ("src", "tests/unit", "tests/fuzz", "tests/bench", "tests/ha", "tests/integration", "scripts"):
        for path in gate.files(root, folder, ".c", ".h", ".py"):
            yield path.relative_to(root), len(gate.read(path).splitlines())


def check(root):
    for path, lines in sizes(root):
        if lines > LIMIT:
            yield gate.Fault(path, LIMIT + 1, f"{lines} lines, at most {LIMIT}: split it by what it does")
        elif lines > REMARK:
            print(f"{path}: {lines} lines; the house style likes {REMARK} (a remark, no fault)")


SELF_TEST = [
    gate.Case("short", {"src/base/a.c": "int a;\n" * 400}, None),
    gate.Case("too long", {"src/base/a.c": "int a;\n" * 801}, "801 lines"),
    gate.Case("too long a test", {"tests/integration/test_a.py": "a = 1\n" * 801}, "801 lines"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
