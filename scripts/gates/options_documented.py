#!/usr/bin/python3
"""Every option of the table in src/base/config.c is in README.md's configuration table, in
.env.example and in the manual page, nothing else is but what a script under scripts/ or a command
reads, and the table is in alphabetical order. The manual page has every command and its options."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

TABLE = "src/base/config.c"
ROW = re.compile(r'^[ \t]*OPT_[A-Z_]+\(\s*"?([A-Z][A-Z0-9_]*)"?\s*[,)]', re.MULTILINE)
# | `NAME` | meaning | default |
README_ROW = re.compile(r"^\|\s*`([A-Z][A-Z0-9_]*)`\s*\|", re.MULTILINE)
# NAME=value, or commented out without a blank: #NAME=value
# .It Ev NAME , in the manual page
MANUAL = "scripts/man/token-service.8"
MANUAL_ROW = re.compile(r"^\.It Ev ([A-Z][A-Z0-9_]*)$", re.MULTILINE)
# { "serve", "[--env-file …", … in main.c; { "batch", required_argument, … in command.c
COMMAND_ROW = re.compile(r'^\t\{ "([a-z][a-z -]*)",\s+"', re.MULTILINE)
ARGUMENT_ROW = re.compile(r'^\t\{ "([a-z-]+)", \w+_argument,', re.MULTILINE)
ENV_ROW = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def rows(text, pattern):
    """{name: line of its first occurrence}"""
    found = {}
    for match in pattern.finditer(text):
        found.setdefault(match.group(1), gate.line_of(text, match.start(1)))
    return found


def read_by_scripts(root):
    """Names in scripts/ and docker/ that stand as $NAME or ${NAME…}: a launcher's or a migration's settings."""
    found = set()
    for path in (*(root / "scripts").rglob("*"), *(root / "docker").rglob("*")):
        if path.is_file() and "gates" not in path.parts and path.suffix not in (".png", ".pyc"):
            found.update(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", gate.read(path)))
    return found


def read_by_commands(root):
    """Names that stand quoted in src/cli/: what a command takes from the environment by itself."""
    return {name for path in gate.files(root, "src/cli", ".c") for name in re.findall(r'"([A-Z][A-Z0-9_]+)"', gate.read(path))}


def check_manual(root):
    """Commands as .It Cm NAME, their options as .It Fl -NAME."""
    manual = gate.read(root / MANUAL) if (root / MANUAL).is_file() else ""
    for source, pattern, macro in (("src/main.c", COMMAND_ROW, "Cm "), ("src/cli/command.c", ARGUMENT_ROW, "Fl -")):
        text = gate.read(root / source) if (root / source).is_file() else ""
        names = list(pattern.finditer(text))
        if text and not names:
            yield gate.Fault(source, 0, "has no row that this gate understands")
        for row in names:
            if not re.search(rf"^\.It {macro}{row[1]}( |$)", manual, re.MULTILINE):
                yield gate.Fault(MANUAL, 0, f"{row[1]} ({source}:{gate.line_of(text, row.start(1))}) is missing: add .It {macro}{row[1]}")


def check(root):
    yield from check_manual(root)
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
        (MANUAL, MANUAL_ROW, "a line .It Ev NAME"),
    ):
        document = root / path
        documented = rows(gate.read(document), pattern) if document.is_file() else {}
        for name in sorted(options.keys() - documented.keys()):
            yield gate.Fault(path, 0, f"{name} ({TABLE}:{options[name]}) is missing: add {how}")
        for name in sorted(documented.keys() - options.keys() - read_by_scripts(root) - read_by_commands(root)):
            yield gate.Fault(path, documented[name], f"{name} is no option of {TABLE}, and no script reads it: drop it or add it there")


_C = '#define OPT_INT(key, min) \\\n\tOPT_ROW(key, min)\n\tOPT_ENUM(API_AUTH, 1),\n\tOPT_INT(PORT,\n\t1),\n'
_ENV = "PORT=8002\n#API_AUTH=off\n# NAME=a remark\n"
_README = "| `API_AUTH` | a | b |\n| `PORT` | a | b |\n| `curl` | x |\n"
_MAN = ".It Ev API_AUTH\n.It Ev PORT\n.It Cm serve\n.It Fl -batch Ar n\n"
_GOOD = {TABLE: _C, "README.md": _README, ".env.example": _ENV, MANUAL: _MAN}
SELF_TEST = [
    gate.Case("good", _GOOD, None),
    gate.Case("not in README", {**_GOOD, "README.md": _README.replace("`PORT`", "port")}, "PORT"),
    gate.Case("not in .env", {**_GOOD, ".env.example": "PORT=1\n"}, "API_AUTH"),
    gate.Case("only in .env", {**_GOOD, ".env.example": _ENV + "OLD=1\n"}, "OLD is no option"),
    gate.Case("a script's", {**_GOOD, ".env.example": _ENV + "HOST=a\n", "scripts/run": "x=${HOST:-a}"}, None),
    gate.Case("order", {**_GOOD, TABLE: "OPT_INT(PORT, 1)\nOPT_ENUM(API_AUTH, 1)\n"}, "keep the order"),
    gate.Case("not in the manual", {**_GOOD, MANUAL: _MAN.replace(".It Ev PORT\n", "")}, "PORT"),
    gate.Case("a command's own", {**_GOOD, MANUAL: _MAN + ".It Ev X_KEY\n", "src/cli/x.c": 'get("X_KEY")'}, None),
    gate.Case("command and option", {**_GOOD, "src/main.c": '\t{ "serve", "", "e",\n', "src/cli/command.c": '\t{ "batch", required_argument, 1 },\n'}, None),
    gate.Case("command missing", {**_GOOD, "src/main.c": '\t{ "key list", "", "e",\n'}, "key list"),
    gate.Case("option missing", {**_GOOD, "src/cli/command.c": '\t{ "role", required_argument, 1 },\n'}, "role"),
    gate.Case("no table", {TABLE: "int a;\n"}, "has no row"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
