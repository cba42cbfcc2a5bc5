#!/usr/bin/python3
"""nginx/static/openapi.json has the calls of src/api/routes.c and no other, says of each whether it needs
a key, and names every error code of src/base/err.c."""

import json
import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

DOCUMENT = "nginx/static/openapi.json"
ROUTES = "src/api/routes.c"
ERRORS = "src/base/err.c"
# { "GET", "/tokens/{branch_id}", ACCESS_FETCHER, …
ROUTE = re.compile(r'\{\s*"([A-Z]+)",\s*"(/[^"]*)",\s*ACCESS_(\w+)')
# [ERR_NOT_FOUND] = { 404, "not_found", …
ERROR = re.compile(r'\[ERR_\w+\]\s*=\s*\{\s*\d+,\s*"(\w+)"')
METHODS = ("get", "post", "put", "patch", "delete")


def rows(root, path, pattern):
    """[(match, line)], none when the file is missing."""
    file = root / path
    text = gate.blank_c(gate.read(file), strings=False) if file.is_file() else ""
    return [(match, gate.line_of(text, match.start())) for match in pattern.finditer(text)]


def operations(document):
    """{(method, path): operation}"""
    return {
        (method.upper(), path): item[method]
        for path, item in document["paths"].items() for method in METHODS if method in item
    }


def check_routes(root, document):
    documented = operations(document)
    routes = rows(root, ROUTES, ROUTE)
    if not routes:
        yield gate.Fault(ROUTES, 0, 'has no row { "METHOD", "/path", ACCESS_…')
        return
    for match, line in routes:
        method, path, access = match.groups()
        operation = documented.pop((method, path), None)
        if operation is None:
            yield gate.Fault(ROUTES, line, f"{method} {path} is not in {DOCUMENT}: describe it there")
        elif (operation.get("security") == []) != (access == "OPEN"):
            yield gate.Fault(DOCUMENT, 0, f'{method} {path} is ACCESS_{access} in {ROUTES}:{line}: "security": [] says open')
    for method, path in documented:
        yield gate.Fault(DOCUMENT, 0, f"{method} {path} is no route of {ROUTES}: drop it")


def check_errors(root, text, codes):
    errors = {match[1]: line for match, line in rows(root, ERRORS, ERROR)}
    for code, line in errors.items():
        if code not in codes:
            yield gate.Fault(ERRORS, line, f"{code} is no ErrorCode of {DOCUMENT}: add it")
        elif f"`{code}`" not in text:
            yield gate.Fault(ERRORS, line, f"{code} is not told of in {DOCUMENT}: name it as `{code}` where it is answered")
    for code in codes:
        if code not in errors:
            yield gate.Fault(DOCUMENT, 0, f"{code} is no error of {ERRORS}: drop it")


def check(root):
    file = root / DOCUMENT
    if not file.is_file():
        yield gate.Fault(DOCUMENT, 0, "is missing: the OpenAPI document stands there")
        return
    text = gate.read(file)
    document = json.loads(text)
    yield from check_routes(root, document)
    yield from check_errors(root, text, document["components"]["schemas"]["ErrorCode"]["enum"])


_ROUTES = 'x[] = {\n\t{ "GET", "/", ACCESS_OPEN, P },\n\t{ "POST", "/tokens", ACCESS_ADMIN, P },\n};\n'
_ERRORS = 'x[] = {\n\t[ERR_A] = { 400, "bad_a", "text" },\n};\n'


_PATHS = {"/": {"get": {"security": []}}, "/tokens": {"post": {}, "parameters": []}}


def _tree(paths=None, text="`bad_a`", codes=("bad_a",)):
    document = {
        "info": {"description": text}, "paths": paths or _PATHS,
        "components": {"schemas": {"ErrorCode": {"enum": codes}}},
    }
    return {DOCUMENT: json.dumps(document), ROUTES: _ROUTES, ERRORS: _ERRORS}


SELF_TEST = [
    gate.Case("good", _tree(), None),
    gate.Case("no document", {ROUTES: _ROUTES, ERRORS: _ERRORS}, "is missing"),
    gate.Case("no route", {**_tree(), ROUTES: "int a;\n"}, "has no row"),
    gate.Case("not documented", _tree({"/": {"get": {"security": []}}}), "POST /tokens"),
    gate.Case("no such route", _tree({**_PATHS, "/x": {"get": {}}}), "/x is no route"),
    gate.Case("open", _tree({"/": {"get": {}}, "/tokens": {"post": {}}}), "ACCESS_OPEN"),
    gate.Case("error not told of", _tree(text="bad_a"), "bad_a is not told of"),
    gate.Case("error not listed", _tree(codes=()), "bad_a is no ErrorCode"),
    gate.Case("no such error", _tree(codes=("bad_a", "bad_b")), "bad_b is no error"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
