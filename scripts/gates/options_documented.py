#!/usr/bin/python3
"""Every option of the table in src/base/config.c is in README.md's configuration table and in
.env.example, nothing else is but what a script under scripts/ reads, and the table is in
alphabetical order."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

TABLE = "src/base/config.c"
ROW = re.compile(r'^[ \t]*OPT_[A-Z_]+\(\s*"?([A-Z][A-Z0-9_]*)"?\s*[,)]', re.MULTILINE)
# | `NAME` | meaning | default |
README_ROW = re.compile(r"^\|\s*`([A-Z][A-Z0-9_]*)`\s*\|", re.MULTILINE)
# NAME=value, or commented out without a blank: #NAME=value
ENV_ROW = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def rows(text, pattern):
    """{name: line of its first occurrence}"""
    found = {}
    for match in pattern.finditer(text):
        found.setdefault(match.group(1), gate.line_of(text, match.start(1)))
    return found


def read_by_scripts(root):
    """Names in scripts/ that stand as $NAME, ${NAME…} or NAME=: a launcher's or a migration's settings."""
    found = set()
    for path in (root / "scripts").rglob("*"):
        if path.is_file() and "gates" not in path.parts and path.suffix != ".pyc":
            found.update(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", gate.read(path)))
    return found


def check(root):
    table = root / TABLE
    if not table.is_file():
        yield gate.Fault(TABLE, 0, "is missing: the option table stands there")
        return
    text = re.sub(r"^[ \t]*#[ \t]*define.*(?:\\\n.*)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  gate.blank_c(gate.read(table), strings=False), flags=re.MULTILINE)
    options = rows(text, ROW)
    if not options:
        yield gate.Fault(TABLE, 0, "has no row OPT_…(NAME, …)")
        return
    names = list(options)
    for before, after in zip(names, names[1:]):
        if after < before:
            yield gate.Fault(TABLE, options[after], f"{after} stands after {before}: keep the order")
    for path, pattern, how in (
        ("README.md", README_ROW, "a row | `NAME` | … | in the configuration table"),
        (".env.example", ENV_ROW, "a line NAME=… or #NAME=…"),
    ):
        document = root / path
        documented = rows(gate.read(document), pattern) if document.is_file() else {}
        for name in sorted(options.keys() - documented.keys()):
            yield gate.Fault(path, 0, f"{name} ({TABLE}:{options[name]}) is missing: add {how}")
        for name in sorted(documented.keys() - options.keys() - read_by_scripts(root)):
            yield gate.Fault(path, documented[name], f"{name} is no option of {TABLE}, and no script reads it: drop it or add it there")


_C = '#define OPT_INT(key, min) \\\n\tOPT_ROW(key, min)\n\tOPT_ENUM(API_AUTH, 1),\n\tOPT_INT(PORT,\n\t1),\n'
_ENV = "PORT=8002\n#API_AUTH=off\n# NAME=a remark\n"
_README = "| `API_AUTH` | a | b |\n| `PORT` | a | b |\n| `curl` | x |\n"
SELF_TEST = [
    gate.Case("good", {TABLE: _C, "README.md": _README, ".env.example": _ENV}, None),
    gate.Case("not in README", {TABLE: _C, "README.md": _README.replace("`PORT`", "port"), ".env.example": _ENV}, "PORT"),
    gate.Case("not in .env", {TABLE: _C, "README.md": _README, ".env.example": "PORT=1\n"}, "API_AUTH"),
    gate.Case("only in .env", {TABLE: _C, "README.md": _README, ".env.example": _ENV + "OLD=1\n"}, "OLD is no option"),
    gate.Case("a script's", {TABLE: _C, "README.md": _README, ".env.example": _ENV + "HOST=a\n", "scripts/run": "x=${HOST:-a}"}, None),
    gate.Case("order", {TABLE: "OPT_INT(PORT, 1)\nOPT_ENUM(API_AUTH, 1)\n", "README.md": _README, ".env.example": _ENV}, "keep the order"),
    gate.Case("no table", {TABLE: "int a;\n"}, "has no row"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
