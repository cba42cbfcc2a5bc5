#!/usr/bin/python3
"""Every SQL statement of src/store/ prepares against freshly migrated tables, has the parameters and
columns that its struct db_stmt says (where it is .binary, of types that store/db_query.c can read so), is allowed to the workers' role (or, where it says .for_owner,
refused to it), and says so when it writes."""

import ctypes
import ctypes.util
import glob
import os
import re
import shlex
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

sys.dont_write_bytecode = True
import gate  # noqa: E402

Statement = namedtuple("Statement", "path line name sql nparams ncols effect for_owner binary")

STRING = r'"(?:[^"\\]|\\.)*"'
START = re.compile(r"\.(?:name|sql|nparams|ncols|effect|for_owner|binary|of_many)\s*=")
# Statements that EXPLAIN takes; BEGIN, COMMIT, SET … have neither columns nor permissions.
PLANNED = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|VALUES)\b", re.IGNORECASE)
WRITING = re.compile(r"\b(?:INSERT\s+INTO|UPDATE\s+\w+\s+(?:AS\s+|\w+\s+)?SET|DELETE\s+FROM)\b", re.IGNORECASE)
# pg_type.oid of boolean, bigint, smallint, integer, text, varchar, timestamptz
READ_IN_BINARY = {16, 20, 21, 23, 25, 1043, 1184}


# --- reading the sources --------------------------------------------------------------------------


def compiler_command(build):
    printed = subprocess.run(
        ["make", "-s", "--no-print-directory", "print-compiler", "print-compile-flags"],
        cwd=build, env=plain_environment(), check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    # The last two lines: before them make may say that it configures again.
    return shlex.split(printed[-2]) + shlex.split(printed[-1])


def preprocessed(command, build, path):
    """The file as the compiler sees it, without what its includes hold."""
    output = subprocess.run(command + ["-E", os.path.relpath(path, build)],
                            cwd=build, check=True, capture_output=True, text=True).stdout
    own = os.path.relpath(path, build)
    lines, inside, number = {}, False, 0
    for line in output.splitlines():
        marker = re.match(r'# (\d+) "((?:[^"\\]|\\.)*)"', line)
        if marker:
            inside, number = marker.group(2) == own, int(marker.group(1))
            continue
        if inside:
            lines[number] = lines.get(number, "") + line
        number += 1
    return "\n".join(lines.get(i, "") for i in range(1, max(lines, default=0) + 1))


def plain_environment():
    """Without what an outer make hands to its children (make check runs this gate)."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def enclosing_braces(text, offset):
    """The innermost { … } around offset. Strings must be blanked."""
    depth, start = 0, offset
    while start >= 0:
        if text[start] == "}":
            depth += 1
        elif text[start] == "{":
            if depth == 0:
                break
            depth -= 1
        start -= 1
    depth, end = 0, start
    while end < len(text):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            break
        end += 1
    return start, end


def literal(source):
    """C string literals one after another → str. (PostgreSQL's SQL here is ASCII.)"""
    parts = re.findall(STRING, source)
    escapes = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "'": "'"}
    return "".join(re.sub(r"\\(.)", lambda m: escapes[m.group(1)], part[1:-1]) for part in parts)


def number(source):
    """An integer, or a sum of integers in parentheses, as macros leave them."""
    if not re.fullmatch(r"[\d\s()+*-]+", source or "0"):
        raise ValueError(source)
    return eval(source or "0", {"__builtins__": {}})  # digits and + - * ( ) only


def statements(path, text):
    """Every initialiser with .sql = "…" in the preprocessed text of a file."""
    blanked = gate.blank_c(text)
    for match in re.finditer(r"\.sql\s*=", blanked):
        start, end = enclosing_braces(blanked, match.start())
        fields = {}
        marks = [m for m in START.finditer(blanked, start, end)]
        for mark, following in zip(marks, marks[1:] + [None]):
            name = mark.group(0).strip(". =\t\n")
            value = text[mark.end():following.start() if following else end]
            fields[name] = value.strip().rstrip(",").strip()
        yield Statement(
            path, gate.line_of(text, start), literal(fields.get("name", "")), literal(fields["sql"]),
            number(fields.get("nparams")), number(fields.get("ncols")), fields.get("effect", "DB_READS"),
            # "true" in the sources; the preprocessor leaves 1, perhaps in parentheses
            *((fields.get(name) or "").strip("() ") in ("true", "1") for name in ("for_owner", "binary")),
        )


# --- asking the server ----------------------------------------------------------------------------


class Libpq:
    """The few calls needed, with the library that the service itself uses."""

    def __init__(self, url):
        self.lib = ctypes.CDLL(ctypes.util.find_library("pq"))
        for name, result, arguments in (
            ("PQconnectdb", ctypes.c_void_p, [ctypes.c_char_p]),
            ("PQstatus", ctypes.c_int, [ctypes.c_void_p]),
            ("PQerrorMessage", ctypes.c_char_p, [ctypes.c_void_p]),
            ("PQprepare", ctypes.c_void_p,
             [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]),
            ("PQdescribePrepared", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
            ("PQexec", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
            ("PQresultErrorMessage", ctypes.c_char_p, [ctypes.c_void_p]),
            ("PQnparams", ctypes.c_int, [ctypes.c_void_p]),
            ("PQnfields", ctypes.c_int, [ctypes.c_void_p]),
            ("PQftype", ctypes.c_uint, [ctypes.c_void_p, ctypes.c_int]),
            ("PQclear", None, [ctypes.c_void_p]),
        ):
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.connection = self.lib.PQconnectdb(url.encode())
        if self.lib.PQstatus(self.connection) != 0:
            raise RuntimeError(self.lib.PQerrorMessage(self.connection).decode())

    def _run(self, result, *counts):
        """(error text or "", counts of the result)"""
        error = self.lib.PQresultErrorMessage(result).decode().strip().replace("\n", " / ")
        values = [count(result) for count in counts]
        self.lib.PQclear(result)
        return error, values

    def prepare(self, name, sql):
        return self._run(self.lib.PQprepare(self.connection, name.encode(), sql.encode(), 0, None))[0]

    def describe(self, name):
        return self._run(self.lib.PQdescribePrepared(self.connection, name.encode()),
                         self.lib.PQnparams, lambda result: [self.lib.PQftype(result, i) for i in range(self.lib.PQnfields(result))])

    def execute(self, sql):
        return self._run(self.lib.PQexec(self.connection, sql.encode()))[0]


def faults_of(server, statement):
    error = server.prepare(statement.name, statement.sql)
    if error:
        yield f"does not prepare: {error}"
        return
    _, (nparams, types) = server.describe(statement.name)
    ncols = len(types)
    if nparams != statement.nparams:
        yield f".nparams is {statement.nparams}, the statement has {nparams}"
    if ncols != statement.ncols:
        yield f".ncols is {statement.ncols}, the statement has {ncols}"
    if statement.binary and not READ_IN_BINARY.issuperset(types):
        yield f"it is .binary, but has columns of the types {sorted(set(types) - READ_IN_BINARY)} (pg_type.oid)"
    writes = bool(WRITING.search(statement.sql))
    if writes and statement.effect != "DB_WRITES":
        yield f"it writes, but .effect is {statement.effect}: a lost connection would run it twice"
    if PLANNED.match(statement.sql):
        nulls = f"({', '.join(['NULL'] * nparams)})" if nparams else ""
        # EXPLAIN checks the role's permissions and runs nothing.
        error = server.execute(f'EXPLAIN EXECUTE "{statement.name}"{nulls}')
        if error and not statement.for_owner:
            yield f"the workers' role cannot run it: {error}"
        if statement.for_owner and "permission denied" not in error:
            yield "it is .for_owner, but the workers' role may run it"


def ask(root, found):
    """In the child, with DATABASE_URL set: prints path, line and text of each fault, tab-separated."""
    server = Libpq(os.environ["DATABASE_URL"])
    names = {}
    for statement in found:
        if statement.name in names:
            print(f"{statement.path}\t{statement.line}\t{statement.name}: the name is taken by {names[statement.name]}")
            continue
        names[statement.name] = f"{statement.path}:{statement.line}"
        for text in faults_of(server, statement):
            print(f"{statement.path}\t{statement.line}\t{statement.name}: {text}")


def collect(root, build):
    found = []
    command = compiler_command(build)
    for path in gate.files(root, "src/store", ".c"):
        found += statements(path.relative_to(root), preprocessed(command, build, path))
    return found


def build_directory(root):
    build = Path(os.environ.get("top_builddir", root / "build")).resolve()
    if not (build / "schema_change.h").is_file():
        raise gate.CannotCheck(f"{build} is not built: run scripts/build")
    return build


def check(root):
    if not (root / "configure.ac").is_file():  # a self-test's tree: only how statements are read
        yield from check_reading(root)
        return
    build = build_directory(root)
    if not glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        raise gate.CannotCheck("PostgreSQL's server is not installed: run scripts/install test")
    initialisers = sum(
        len(re.findall(r"\.sql\s*=", gate.blank_c(gate.read(p)))) for p in gate.files(root, "src/store", ".c"))
    try:
        found = collect(root, build)
    except subprocess.CalledProcessError as error:
        yield gate.Fault("src/store", 0, f"cannot be read as the compiler does: {error.stderr.strip()}")
        return
    if not found or len(found) < initialisers:
        yield gate.Fault("src/store", 0, f"{len(found)} statements read of {initialisers}: the gate does not see them")
        return
    child = subprocess.run(
        [str(root / "scripts/gates/with-fresh-database"), sys.executable, os.path.abspath(__file__), "--ask"],
        env={**plain_environment(), "top_builddir": str(build)}, capture_output=True, text=True,
    )
    if child.returncode != 0:
        yield gate.Fault("scripts/gates/with-fresh-database", 0, f"failed: {child.stdout}{child.stderr}".strip())
    for line in child.stdout.splitlines():
        path, number_, text = line.split("\t", 2)
        yield gate.Fault(path, int(number_), text)
    print(f"statements_prepare: {len(found)} statements asked for")


def check_reading(root):
    for path in gate.files(root, "src/store", ".c"):
        for each in statements(path.relative_to(root), gate.read(path)):
            expected = (root / "expected").read_text(encoding="utf-8")
            got = f"{each.line} {each.name} {each.nparams} {each.ncols} {each.effect} {each.sql}"
            if got != expected:
                yield gate.Fault(each.path, each.line, got)


_S = """
/* .sql = "x" */
static const struct db_stmt A = {
	.name = "a", .nparams = 1,
	.ncols = 2 + (1), .effect = DB_WRITES,
	.sql = "UPDATE t SET a = '{', b = $1 " /* why */
	       "RETURNING \\"a\\"",
};
"""
SELF_TEST = [
    gate.Case("reads", {"src/store/a.c": _S, "expected": "3 a 1 3 DB_WRITES UPDATE t SET a = '{', b = $1 RETURNING \"a\""}, None),
    gate.Case("effect forgotten", {"src/store/a.c": _S.replace(", .effect = DB_WRITES", ""), "expected": ""}, "a 1 3 DB_READS UPDATE"),
]

if __name__ == "__main__":
    if sys.argv[1:] == ["--ask"]:
        top = gate.repository_root()
        ask(top, collect(top, build_directory(top)))
        sys.exit(0)
    sys.exit(gate.main(__doc__, check, SELF_TEST))
