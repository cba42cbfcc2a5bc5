#!/usr/bin/python3
"""A migration only adds: the program of the release before serves on it, so that hosts are replaced one by one.

One that takes away or tightens says "-- contract: since vX.Y" in a line of its own: no release from that one on
needs what goes.
"""

import re
import sys

sys.dont_write_bytecode = True
import gate  # noqa: E402

FOLDER = "sql/deploy"
CONTRACT = re.compile(r"^-- contract: since v\d+(\.\d+)+$", re.MULTILINE)
COMMENT = re.compile(r"--[^\n]*")
STRING = re.compile(r"'(?:[^']|'')*'")
REFUSED = [
    (re.compile(r"\bDROP\s+(?!NOT\s+NULL|DEFAULT|EXPRESSION)\w+", re.I), "takes away what a running program may use"),
    (re.compile(r"\bRENAME\b", re.I), "renames what a running program may use"),
    (re.compile(r"\bSET\s+NOT\s+NULL\b", re.I), "refuses rows that a running program may write"),
    (re.compile(r"\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b", re.I), "changes the type of what a running program may use"),
    (re.compile(r"\bADD\s+(?:CONSTRAINT\s+\w+\s+)?(?:CHECK|UNIQUE|FOREIGN|PRIMARY|EXCLUDE)\b(?![^;]*\bADD\s+COLUMN\b)", re.I),
     "refuses rows that a running program may write"),
    (re.compile(r"\bADD\s+COLUMN\s+(?:(?!\bADD\s+COLUMN\b|;).)*?\bNOT\s+NULL\b(?!(?:(?!\bADD\s+COLUMN\b|;).)*\b(?:DEFAULT|GENERATED)\b)",
                re.I | re.S), "a running program does not fill it: give it a DEFAULT"),
    (re.compile(r"\bREVOKE\b[^;]*?\bON\s+(?:(?:TABLE|FUNCTION)\s+)?(?P<new>\w+)", re.I), "takes a right that a running program may need"),
]
CREATED = re.compile(r"\bCREATE\s+(?:TABLE|FUNCTION)\s+(\w+)", re.I)


def blanked(pattern, text):
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def check(root):
    files = sorted((root / FOLDER).glob("*.sql"))
    if not files:
        yield gate.Fault(FOLDER, 0, "has no migration")
    for path in files:
        text = gate.read(path)
        if CONTRACT.search(text):
            continue
        statements = blanked(STRING, blanked(COMMENT, text))
        new = set(CREATED.findall(statements))
        for pattern, why in REFUSED:
            for found in pattern.finditer(statements):
                if found.groupdict().get("new") in new:  # which no running program knows
                    continue
                words = " ".join(found[0].split())
                yield gate.Fault(str(path.relative_to(root)), gate.line_of(text, found.start()), f"{words}: {why}")


def _case(name, statement, fault):
    return gate.Case(name, {f"{FOLDER}/one.sql": f"BEGIN;\n{statement}\nCOMMIT;\n"}, fault)


SELF_TEST = [
    _case("a table", "CREATE TABLE t (a bigint NOT NULL, UNIQUE (a), CHECK (a > 0));\nCREATE INDEX ON t (a);", None),
    _case("a column that may be NULL", "ALTER TABLE t ADD COLUMN a bigint;", None),
    _case("a column with a default", "ALTER TABLE t ADD COLUMN a bigint NOT NULL DEFAULT 1\n\tCONSTRAINT c CHECK (a > 0);", None),
    _case("a default before", "ALTER TABLE t ADD COLUMN a bigint DEFAULT 1;", None),
    _case("looser", "ALTER TABLE t ALTER COLUMN a DROP NOT NULL;", None),
    _case("in words", "COMMENT ON TABLE t IS 'do not DROP TABLE; SET NOT NULL'; -- RENAME", None),
    _case("contract", "-- contract: since v1.2\nDROP TABLE t;", None),
    _case("contract without a release", "-- contract: soon\nDROP TABLE t;", "DROP TABLE"),
    _case("table gone", "DROP TABLE t;", "DROP TABLE"),
    _case("column gone", "ALTER TABLE t\n\tDROP COLUMN a;", "DROP COLUMN"),
    _case("renamed", "ALTER TABLE t RENAME a TO b;", "RENAME"),
    _case("tightened", "ALTER TABLE t ALTER COLUMN a SET NOT NULL;", "SET NOT NULL"),
    _case("other type", "ALTER TABLE t ALTER COLUMN a TYPE text;", "TYPE"),
    _case("constraint", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);", "ADD CONSTRAINT c CHECK"),
    _case("column that must be filled", "ALTER TABLE t ADD COLUMN a bigint NOT NULL,\n\tADD COLUMN b int NOT NULL DEFAULT 1;", "a running program"),
    _case("right of a new table", "CREATE TABLE t ();\nREVOKE UPDATE ON t FROM r;", None),
    _case("right taken", "REVOKE INSERT ON t FROM r;", "REVOKE"),
]

if __name__ == "__main__":
    sys.exit(gate.main(__doc__, check, SELF_TEST))
