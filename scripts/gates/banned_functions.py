#!/usr/bin/python3
"""No file under src/, tests/unit/ or tests/bench/ calls a function that base/banned.h bans, every .c file of src/
includes that header after all others, and it still bans what the house style lists."""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

INSTEAD = {
    "strcpy": "strbuf or snprintf",
    "strcat": "strbuf",
    "sprintf": "snprintf or strbuf",
    "strtok": "strtok_r or strcspn",
    "atoi": "strtol with its checks",
    "gmtime": "gmtime_r",
    "alloca": "a fixed buffer or malloc",
}
BANNED_H = "src/base/banned.h"
FOLDERS = ("src", "tests/unit", "tests/bench")
# "#define strcpy(...) …", "#pragma GCC poison strcpy strcat"
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([a-z]\w*)\b", re.MULTILINE)
POISON = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+GCC[ \t]+poison[ \t]+(.+)$", re.MULTILINE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)', re.MULTILINE)


def banned_names(text):
    names = set(DEFINE.findall(text))
    for line in POISON.findall(text):
        names.update(line.split())
    return names


def check(root):
    header = root / BANNED_H
    if not header.is_file():
        yield gate.Fault(BANNED_H, 0, "is missing: it bans " + ", ".join(INSTEAD))
        return
    names = banned_names(gate.blank_c(gate.read(header)))
    for missing in sorted(INSTEAD.keys() - names):
        yield gate.Fault(BANNED_H, 0, f"does not ban {missing}")
    call = re.compile(r"(?<![\w.>])(" + "|".join(sorted(names | INSTEAD.keys())) + r")\s*\(")
    for path in [each for folder in FOLDERS for each in gate.files(root, folder, ".c", ".h")]:
        relative = path.relative_to(root)
        if str(relative) == BANNED_H:
            continue
        text = gate.blank_c(gate.read(path))
        includes = INCLUDE.findall(gate.blank_c(gate.read(path), strings=False))
        if path.suffix == ".c" and relative.parts[0] == "src" and includes[-1:] != ["base/banned.h"]:
            yield gate.Fault(relative, 0, 'the last include must be "base/banned.h"')
        for match in call.finditer(text):
            name = match.group(1)
            yield gate.Fault(
                relative,
                gate.line_of(text, match.start()),
                f"{name}() is banned; use {INSTEAD.get(name, 'what banned.h says')}",
            )


_INC = '#include <a.h>\n#include "base/banned.h"\n'
_ALL = "\n".join(f"#define {name} BANNED({name})" for name in INSTEAD) + "\n"
SELF_TEST = [
    gate.Case("good", {BANNED_H: _ALL, "src/base/a.c": _INC + 'f("strcpy(a)"); x_strcpy(a); gmtime_r(t);'}, None),
    gate.Case("call", {BANNED_H: _ALL, "src/base/a.c": _INC + "\tstrcpy(a, b);\n"}, "strcpy() is banned"),
    gate.Case("unit test", {BANNED_H: _ALL, "tests/unit/a.c": "return atoi (a);\n"}, "atoi() is banned"),
    gate.Case("benchmark", {BANNED_H: _ALL, "tests/bench/a.c": "sprintf(a, b);\n"}, "sprintf() is banned"),
    gate.Case("poison", {BANNED_H: "#pragma GCC poison " + " ".join(INSTEAD) + "\n"}, None),
    gate.Case("not included", {BANNED_H: _ALL, "src/base/a.c": "int a;\n"}, "last include"),
    gate.Case("hole", {BANNED_H: _ALL.replace("#define alloca ", "#define x ")}, "does not ban alloca"),
    gate.Case("no header", {"src/base/a.c": ""}, "is missing"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
