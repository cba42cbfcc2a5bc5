"""What the gates share: finding files, reading C, saying what is wrong, proving that a gate can fail.

A gate is a file with a docstring, a function check(root) that yields Fault, and SELF_TEST, a list of
Case: a small tree that must (or must not) be faulted. Every run tries the cases first: a gate that
has gone blind fails by itself.

Exit status: 0 nothing found, 1 faults, 77 cannot be done here (the test harness' "skipped").
"""

import argparse
import re
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

# path relative to root, line (0: the whole file), what is wrong and what to do
Fault = namedtuple("Fault", "path line text")

# name, {path: content}, a part of the one expected fault's text (None: the tree is good)
Case = namedtuple("Case", "name tree expected")


class CannotCheck(Exception):
    """This machine lacks what the gate needs."""


def repository_root():
    return Path(__file__).resolve().parent.parent.parent


def files(root, folder, *suffixes):
    """Files below root/folder with one of the suffixes, sorted; none when the folder is missing."""
    base = root / folder
    return sorted(p for p in base.rglob("*") if p.suffix in suffixes and p.is_file())


def read(path):
    return path.read_text(encoding="utf-8")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


_C_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)


def blank_c(text, strings=True):
    """C source with comments (and the insides of strings) blanked; offsets and lines stay."""

    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        if not strings:
            return token
        return token[0] + " " * (len(token) - 2) + token[-1]

    return _C_TOKEN.sub(blank, text)


def _self_test(check, cases):
    """Yields what is wrong with the gate itself."""
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="gate-") as directory:
            root = Path(directory)
            for path, content in case.tree.items():
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content, encoding="utf-8")
            found = list(check(root))
        if case.expected is None:
            if found:
                yield f"{case.name}: a good tree was faulted: {found[0]}"
        elif len(found) != 1 or case.expected not in found[0].text:
            yield f"{case.name}: expected one fault with {case.expected!r}, found {found}"


def main(description, check, cases):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, help="another tree than this checkout")
    parser.add_argument("--self-test", action="store_true", help="only try the gate itself")
    options = parser.parse_args()
    root = options.root.resolve() if options.root else repository_root()
    name = Path(sys.argv[0]).stem

    broken = list(_self_test(check, cases))
    for text in broken:
        print(f"{name}: the gate itself is broken: {text}")
    if broken:
        return 1
    if options.self_test:
        print(f"{name}: {len(cases)} self-tests passed")
        return 0

    try:
        faults = list(check(root))
    except CannotCheck as reason:
        print(f"{name}: cannot be checked here: {reason}")
        return 77
    for fault in faults:
        where = f"{fault.path}:{fault.line}" if fault.line else str(fault.path)
        print(f"{where}: {fault.text}")
    if faults:
        print(f"{name}: {len(faults)} fault(s)")
        return 1
    print(f"{name}: ok")
    return 0
