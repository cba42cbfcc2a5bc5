#!/usr/bin/python3
"""Every error code of src/base/err.c has its row in README.md, "Troubleshooting", and that table has no other."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

TABLE, DOCUMENT, SECTION = "src/base/err.c", "README.md", "## Troubleshooting"


def codes(root):
    text = gate.blank_c(gate.read(root / TABLE), strings=False)
    return set(re.findall(r'\[ERR_\w+\]\s*=\s*\{\s*\d+\s*,\s*"(\w+)"', text))


def rows(text):
    """{code: its line} of the section's table."""
    found, begun = {}, False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            begun = line == SECTION
        elif begun and line.startswith("| `"):
            found.update((code, number) for code in re.findall(r"`(\w+)`", line.split("|")[1]))
    return found


def check(root):
    have = codes(root)
    if not have:
        yield gate.Fault(TABLE, 0, "has no error codes that this gate could read")
    documented = rows(gate.read(root / DOCUMENT))
    for code in sorted(have - documented.keys()):
        yield gate.Fault(DOCUMENT, 0, f'"{SECTION[3:]}" has no row for {code}')
    for code in sorted(documented.keys() - have):
        yield gate.Fault(DOCUMENT, documented[code], f"{code} is no error code of {TABLE}")


_C = 'x = {\n\t[ERR_A] = { 404, "a_b",\n"message" },\n\t/* [ERR_X] = { 404, "x" */\n};\n'
_ROW = f"{SECTION}\n\n| code | what |\n| --- | --- |\n| `a_b` | do `c` |\n"
SELF_TEST = [
    gate.Case("good", {TABLE: _C, DOCUMENT: _ROW + "\n## Else\n| `d` |\n"}, None),
    gate.Case("no row", {TABLE: _C, DOCUMENT: _ROW.replace("`a_b`", "a_b")}, "no row for a_b"),
    gate.Case("elsewhere", {TABLE: _C, DOCUMENT: _ROW.replace(SECTION, "## Else")}, "no row for a_b"),
    gate.Case("stale", {TABLE: _C, DOCUMENT: _ROW + "| `gone` | |\n"}, "gone is no error code"),
    gate.Case("blind", {TABLE: "", DOCUMENT: _ROW.replace("`a_b`", "")}, "no error codes"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
