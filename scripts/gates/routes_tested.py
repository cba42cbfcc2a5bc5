#!/usr/bin/python3
"""Every route of src/api/routes.c is called by at least one integration test: one of the files in
tests/integration/ names its method and its path (any value in place of {…})."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

TABLE = "src/api/routes.c"
# { "GET", "/tokens/{branch_id}", … or { .method = "GET", .path = "/…", …
ROW = re.compile(r'\{\s*(?:\.\w+\s*=\s*)?"([A-Z]+)",\s*(?:\.\w+\s*=\s*)?"(/[^"]*)"')


def path_pattern(path):
    """/oauth/login/{client_id} as it stands in a test: quoted, a value or an f-string's braces in between."""
    escaped = "".join(
        r"[^/\"'\s]+" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{[^}]*\})", path)
    )
    return r"""f?["'](?:\{[^}"']*\})?""" + escaped + r"""(?:\?[^"']*)?["']"""


def call_pattern(method, path):
    """service.get("/path"), service.start("GET", "/path"): method before path, on a line or two."""
    quoted = rf"""["']{method}["']\s*,\s*"""
    called = rf"""\.{method.lower()}\(\s*"""
    return re.compile("(?:" + quoted + "|" + called + ")" + path_pattern(path), re.IGNORECASE)


def check(root):
    table = root / TABLE
    if not table.is_file():
        yield gate.Fault(TABLE, 0, "is missing: the route table stands there")
        return
    text = gate.blank_c(gate.read(table), strings=False)
    routes = list(ROW.finditer(text))
    if not routes:
        yield gate.Fault(TABLE, 0, 'has no row { "METHOD", "/path", … }')
        return
    tests = "\n".join(gate.read(path) for path in gate.files(root, "tests/integration", ".py"))
    for row in routes:
        method, path = row.groups()
        if not call_pattern(method, path).search(tests):
            yield gate.Fault(
                TABLE,
                gate.line_of(text, row.start(1)),
                f"{method} {path}: no file of tests/integration/ calls it; "
                f'write the call as .{method.lower()}("{path}") or "{method}", "{path}"',
            )


_C = 'x[] = {\n\t{ "GET", "/tokens/{branch_id}", A },\n\t{ "GET", "/health", A },\n};\n'
_T = "tests/integration/test_a.py"
SELF_TEST = [
    gate.Case("good", {TABLE: _C, _T: 's.get(f"/tokens/{b}")\ns.start("GET",\n "/health")\n'}, None),
    gate.Case("query", {TABLE: _C, _T: "s.get(f'/tokens/{b}?min_ttl=3')\ns.get('/health')\n"}, None),
    gate.Case("base url", {TABLE: _C, _T: 's.get(f"{url}/tokens/b-1")\ns.get("/health")\n'}, None),
    gate.Case("other method", {TABLE: _C, _T: 's.get("/tokens/b-1")\ns.post("/health")\n'}, "GET /health"),
    gate.Case("longer path", {TABLE: _C, _T: 's.get("/tokens/b-1")\ns.get("/health/live")\n'}, "GET /health"),
    gate.Case("no table", {TABLE: "int a;\n"}, "has no row"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
