#!/usr/bin/python3
"""Every Debian package of scripts/lib/packages.sh and every direct dependency of a package.json is in the
last column of README.md's table "What it stands on", once, and nothing else is."""

import json
import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

PACKAGES = "scripts/lib/packages.sh"
README = "README.md"
SECTION = re.compile(r"^## What it stands on\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LIST = re.compile(r"^PACKAGES_[A-Z]+='\n(.*?)^'", re.MULTILINE | re.DOTALL)
NODE_MODULES = ("nginx/static/package.json", "tests/*/package.json")


def needed(root):
    """{name: the file that asks for it}"""
    found = {}
    for block in LIST.findall(gate.read(root / PACKAGES)):
        found.update((line.split()[0], PACKAGES) for line in block.splitlines() if line.strip())
    for pattern in NODE_MODULES:
        for path in sorted(root.glob(pattern)):
            document = json.loads(gate.read(path))
            for kind in ("dependencies", "devDependencies", "optionalDependencies"):
                found.update((name, str(path.relative_to(root))) for name in document.get(kind, {}))
    return found


def documented(text):
    """(name, its line) of each that stands in the last column."""
    section = SECTION.search(text)
    for row in re.finditer(r"^\|.*\|([^|\n]*)\|$", section[1] if section else "", re.MULTILINE):
        for name in re.finditer(r"`([^`]+)`", row[1]):
            yield name[1], gate.line_of(text, section.start(1) + row.start(1) + name.start())


def check(root):
    wanted, seen = needed(root), {}
    if not wanted:
        yield gate.Fault(PACKAGES, 0, "has no list PACKAGES_…='…' that this gate understands")
    for name, line in documented(gate.read(root / README)):
        if name in seen:
            yield gate.Fault(README, line, f"{name} stands in line {seen[name]} too")
        elif name not in wanted:
            yield gate.Fault(README, line, f"{name} is asked for by nothing: take it out")
        seen.setdefault(name, line)
    for name in sorted(wanted.keys() - seen.keys()):
        yield gate.Fault(README, 0, f'{name} ({wanted[name]}) is missing in the last column of "What it stands on"')


_TABLE = "| nginx | HTTP | `nginx` |\n| a tool | a check | `tool`, `@a/module` |\n"
_GOOD = {
    PACKAGES: "PACKAGES_RUN='\nnginx nginx\n'\nPACKAGES_TEST='\ntool\n'\n",
    "tests/x/package.json": '{"dependencies": {"@a/module": "1.0.0"}}',
    README: "## What it stands on\n\n" + _TABLE + "\n## License\n\n| `other` |\n",
}
SELF_TEST = [
    gate.Case("good", _GOOD, None),
    gate.Case("package missing", {**_GOOD, PACKAGES: _GOOD[PACKAGES].replace("tool", "tool\nnew")}, f"new ({PACKAGES}) is missing"),
    gate.Case("module missing", {**_GOOD, "nginx/static/package.json": '{"devDependencies": {"b": "1"}}'}, "b (nginx/static"),
    gate.Case("only in another column", {**_GOOD, README: _GOOD[README].replace("| HTTP | `nginx` |", "| `nginx` | none |")}, "nginx"),
    gate.Case("only in another section", {**_GOOD, PACKAGES: _GOOD[PACKAGES].replace("tool", "tool\nother")}, "other"),
    gate.Case("gone", {**_GOOD, "tests/x/package.json": "{}"}, "@a/module is asked for by nothing"),
    gate.Case("twice", {**_GOOD, README: _GOOD[README].replace("`tool`", "`tool`, `nginx`")}, "stands in line 3 too"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
