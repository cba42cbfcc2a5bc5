#!/usr/bin/python3
"""Every error code of src/base/err.c has its row in README.md, "Troubleshooting", and that table has no other; and the
examples of errors in nginx/static/openapi.json say in "detail" what they say in "message", as every answer does."""

import json
import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

TABLE, DOCUMENT, SECTION = "src/base/err.c", "README.md", "## Troubleshooting"
API = "nginx/static/openapi.json"


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


def examples(node):
    """Every error answer in the document."""
    if isinstance(node, dict) and node.get("success") is False and "error" in node:
        yield node
    elif isinstance(node, (dict, list)):
        for each in node.values() if isinstance(node, dict) else node:
            yield from examples(each)


def check_examples(root):
    text = gate.read(root / API)
    found = list(examples(json.loads(text)))
    if not found:
        yield gate.Fault(API, 0, "has no examples of errors that this gate could read")
    for example in found:
        code, detail = example["error"], example.get("detail")
        if code == "validation_failed" and isinstance(detail, list):  # that of a form has its fields there
            continue
        if detail != example.get("message"):
            line = gate.line_of(text, max(text.find(str(detail)), 0))
            yield gate.Fault(API, line, f'the example of {code} has another "detail" than "message"')


def check(root):
    yield from check_examples(root)
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
_SAME = {"success": False, "error": "a_b", "message": "Do c.", "detail": "Do c."}
_FIELDS = {**_SAME, "error": "validation_failed", "detail": [{"field": "x", "message": "is required"}]}
_GOOD = {TABLE: _C, DOCUMENT: _ROW, API: json.dumps([{"example": _SAME}, {"example": _FIELDS}])}


def _example(**changes):
    return {**_GOOD, API: json.dumps({"paths": [{"example": {**_SAME, **changes}}]})}


SELF_TEST = [
    gate.Case("good", {**_GOOD, DOCUMENT: _ROW + "\n## Else\n| `d` |\n"}, None),
    gate.Case("no row", {**_GOOD, DOCUMENT: _ROW.replace("`a_b`", "a_b")}, "no row for a_b"),
    gate.Case("elsewhere", {**_GOOD, DOCUMENT: _ROW.replace(SECTION, "## Else")}, "no row for a_b"),
    gate.Case("stale", {**_GOOD, DOCUMENT: _ROW + "| `gone` | |\n"}, "gone is no error code"),
    gate.Case("blind", {**_GOOD, TABLE: "", DOCUMENT: _ROW.replace("`a_b`", "")}, "no error codes"),
    gate.Case("other detail", _example(detail="Do d."), 'a_b has another "detail"'),
    gate.Case("fields", _example(detail=_FIELDS["detail"]), 'a_b has another "detail"'),
    gate.Case("no detail", _example(detail=None), 'a_b has another "detail"'),
    gate.Case("no examples", {**_GOOD, API: "{}"}, "no examples"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
