#!/usr/bin/python3
"""Every fuzz target has a corpus that make check replays, every corpus has its target, and all of
them together stay small: tests/fuzz/fuzz_<name>.c and tests/fuzz/corpus/<name>/."""

import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

FOLDER = "tests/fuzz"
LIMIT = 512 * 1024


def check(root):
    targets = {p.stem.removeprefix("fuzz_") for p in gate.files(root, FOLDER, ".c") if p.name.startswith("fuzz_")}
    corpora = {}
    for path in sorted((root / FOLDER / "corpus").rglob("*")):
        relative = path.relative_to(root / FOLDER / "corpus")
        if path.is_dir():
            continue
        if len(relative.parts) != 2:
            yield gate.Fault(path.relative_to(root), 0, "corpus entries are files in corpus/<name>/")
        else:
            corpora.setdefault(relative.parts[0], []).append(path.stat().st_size)
    if not targets:
        yield gate.Fault(FOLDER, 0, "has no target fuzz_<name>.c")
    for name in sorted(targets - set(corpora)):
        yield gate.Fault(f"{FOLDER}/corpus/{name}", 0, "is missing or empty: give the target inputs to begin with")
    for name in sorted(set(corpora) - targets):
        yield gate.Fault(f"{FOLDER}/corpus/{name}", 0, f"has no target fuzz_{name}.c")
    total = sum(sum(sizes) for sizes in corpora.values())
    if total > LIMIT:
        yield gate.Fault(f"{FOLDER}/corpus", 0, f"{total} bytes, at most {LIMIT}: keep what adds something")


_A = f"{FOLDER}/fuzz_a.c"
_CORPUS = f"{FOLDER}/corpus"
SELF_TEST = [
    gate.Case("good", {_A: "", f"{_CORPUS}/a/one": "x"}, None),
    gate.Case("no corpus", {_A: "", f"{FOLDER}/fuzz_b.c": "", f"{_CORPUS}/a/one": "x"}, "is missing or empty"),
    gate.Case("no target", {_A: "", f"{_CORPUS}/a/one": "x", f"{_CORPUS}/b/one": "x"}, "no target fuzz_b.c"),
    gate.Case("stray entry", {_A: "", f"{_CORPUS}/a/one": "x", f"{_CORPUS}/two": "x"}, "are files in"),
    gate.Case("too large", {_A: "", f"{_CORPUS}/a/one": "x" * (LIMIT + 1)}, "at most"),
    gate.Case("nothing", {"src/main.c": ""}, "has no target"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
