#!/usr/bin/python3
"""Includes go one way: a layer of src/ includes only the layers below it, and each outside library
is included by the one layer that wraps it."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

ALL = {"api", "base", "cli", "crypto", "domain", "google", "http", "server", "store"}
MAY_INCLUDE = {
    "main": ALL,
    "cli": ALL,
    "server": {"api", "domain", "http", "store", "base"},
    "api": {"domain", "http", "base"},
    "domain": {"store", "google", "crypto", "base"},
    "store": {"base"},
    "google": {"base"},
    "http": {"base"},
    "crypto": {"base"},
    "base": set(),
}
# start of a system header's name → the layer that wraps the library
WRAPPED = {
    "fcgi": "http",
    "fastcgi": "http",
    "libpq": "store",
    "postgres": "store",
    "curl/": "google",
    "openssl/": "crypto",
}
# Made in the build directory.
GENERATED = {"schema_change.h": {"base", "domain", "main", "store"}}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]+>|"[^"\n]+")', re.MULTILINE)


def layer_of(path):
    """src/api/tokens.c → api; src/main.c → main"""
    return path.parts[1] if len(path.parts) > 2 else path.stem


def fault_of(layer, quoted, header):
    for start, owner in WRAPPED.items():
        if header.startswith(start) and layer != owner:
            return f"only src/{owner}/ includes {header}: use that layer's own functions"
    if not quoted:
        return None
    if header in GENERATED:
        if layer in GENERATED[header]:
            return None
        return f"{header} is for {', '.join(sorted(GENERATED[header]))} only"
    if header == "build_config.h":
        return "build_config.h comes by -include in every file: drop this line"
    target = header.split("/")[0]
    if "/" not in header or target not in ALL:
        return f'write it from src/ on, as in "base/err.h", not "{header}"'
    if target == layer or target in MAY_INCLUDE[layer]:
        return None
    allowed = ", ".join(sorted(MAY_INCLUDE[layer])) or "nothing else"
    return f"{layer} may include {allowed}; not {target}: move the function or pass the value in"


def check(root):
    for path in gate.files(root, "src", ".c", ".h"):
        relative = path.relative_to(root)
        layer = layer_of(relative)
        if layer not in MAY_INCLUDE:
            yield gate.Fault(relative, 0, f"{layer} is no layer of include_directions.py: add its rule")
            continue
        text = gate.blank_c(gate.read(path), strings=False)
        for match in INCLUDE.finditer(text):
            name = match.group(1)
            text_of_fault = fault_of(layer, name[0] == '"', name[1:-1])
            if text_of_fault:
                yield gate.Fault(relative, gate.line_of(text, match.start(1)), text_of_fault)


SELF_TEST = [
    gate.Case("downwards", {"src/api/a.c": '#include "domain/token.h"\n#include <stdio.h>\n'}, None),
    gate.Case("api to store", {"src/api/a.c": '#include "store/db.h"\n'}, "not store"),
    gate.Case("base upwards", {"src/base/a.h": '# include "http/request.h"\n'}, "not http"),
    gate.Case("libpq", {"src/domain/a.c": "#include <libpq-fe.h>\n"}, "only src/store/"),
    gate.Case("libpq at home", {"src/store/a.c": "#include <libpq-fe.h>\n"}, None),
    gate.Case("libcurl", {"src/server/a.c": "#include <curl/curl.h>\n"}, "only src/google/"),
    gate.Case("fcgiapp", {"src/server/a.c": "#include <fcgiapp.h>\n"}, "only src/http/"),
    gate.Case("bare name", {"src/base/a.c": '#include "err.h"\n'}, "from src/ on"),
    gate.Case("comment", {"src/base/a.c": '/*\n#include "store/db.h"\n*/\n'}, None),
    gate.Case("main", {"src/main.c": '#include "server/supervisor.h"\n'}, None),
    gate.Case("new layer", {"src/extra/a.c": ""}, "add its rule"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
