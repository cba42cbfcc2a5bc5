"""token-service key create, list, revoke: what an operator types, and what comes out."""

import hashlib
import re

import pytest

from support import keys

FORM = re.compile(r"tsk_[A-Za-z0-9_-]{43}\n")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
CREATE = ("create", "--role", "fetcher", "--label", "billing")


def row(database):
    return database.one(
        "SELECT encode(key_hash, 'hex'), role, label, branches, extract(epoch FROM expires_at - created_at)::bigint,"
        " revoked_at IS NULL, last_used_at FROM api_keys")


def test_create_prints_the_key_alone_and_keeps_its_digest(database):
    """The key is the only line of standard output; the database has its SHA-256."""
    done = keys.run(database, *CREATE, "--branches", "acme-*", "--expires", "90d")
    assert done.returncode == 0, done.stderr
    assert FORM.fullmatch(done.stdout)
    key = done.stdout.strip()
    digest = hashlib.sha256(key.encode()).hexdigest()
    assert row(database) == (digest, "fetcher", "billing", "acme-*", 90 * 86400, True, None)
    assert key not in done.stderr and "only time" in done.stderr and re.search(TIME, done.stderr)
    assert key[4:] not in database.dump()


def test_each_key_is_another(database):
    made = {keys.create(database, "admin") for _ in range(8)}
    assert len(made) == 8


@pytest.mark.parametrize("text, seconds", [("1s", 1), ("45s", 45), ("30m", 1800), ("12h", 43200), ("90d", 7776000),
                                           ("007d", 604800), ("3650d", 315360000), (None, None)])
def test_expiry_is_a_number_and_a_unit(database, text, seconds):
    done = keys.run(database, *CREATE, *(["--expires", text] if text else []))
    assert done.returncode == 0, done.stderr
    assert row(database)[4] == seconds


WRONG = {
    "no role": (("--label", "x"), "--role"),
    "another role": (("--role", "root", "--label", "x"), "--role"),
    "no label": (("--role", "admin"), "--label"),
    "empty label": (("--role", "admin", "--label", ""), "--label"),
    "long label": (("--role", "admin", "--label", "x" * 256), "--label"),
    "label of two lines": (("--role", "admin", "--label", "a\nb"), "--label"),
    "label that is no UTF-8": (("--role", "admin", "--label", b"\xff"), "--label"),
    "branches of an admin": (("--role", "admin", "--label", "x", "--branches", "a-*"), "--branches"),
    "empty branches": ((*CREATE[1:], "--branches", ""), "--branches"),
    "branches with a slash": ((*CREATE[1:], "--branches", "a/*"), "--branches"),
    **{f"expires {text!r}": ((*CREATE[1:], "--expires", text), "--expires")
       for text in ("", "d", "0d", "-1d", "90", "90 d", "9x", "1.5d", "3651d", "99999999999999999999d", "+1d", "1dd")},
    "unknown option": ((*CREATE[1:], "--nonsense"), "--nonsense"),
    "option of another command": ((*CREATE[1:], "--socket-dir", "/tmp"), "--socket-dir"),
    "one argument too many": ((*CREATE[1:], "surprise"), "surprise"),
}


@pytest.mark.parametrize("arguments, named", WRONG.values(), ids=WRONG.keys())
def test_wrong_create_says_what_is_wrong_and_makes_no_key(database, arguments, named):
    """Exit 2, the option named, nothing on standard output."""
    arguments = [each if isinstance(each, str) else each.decode(errors="surrogateescape") for each in arguments]
    done = keys.run(database, "create", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert row(database) is None


def test_everything_wrong_is_said_at_once(database):
    done = keys.run(database, "create", "--expires", "soon", "--role", "x")
    assert [re.search(r"--\w+", line)[0] for line in done.stderr.splitlines()] == ["--role", "--label", "--expires"]


def test_list_shows_each_key_and_never_the_key(database):
    """What it may, until when, its state; ordered by id."""
    made = {
        "active": keys.create(database, "admin", label="first of them"),
        "expired": keys.create(database, "fetcher", "--branches", "acme-*", "--expires", "1h", label="second"),
        "revoked": keys.create(database, "fetcher", label="third"),
    }
    keys.expire(database, made["expired"])
    keys.revoke(database, made["revoked"])
    done = keys.run(database, "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["ID", "ROLE", "STATE", "CREATED", "EXPIRES", "LAST", "USED", "BRANCHES", "LABEL"]
    seen = [line.split(maxsplit=7) for line in lines]
    assert [int(each[0]) for each in seen] == [keys.id_of(database, key) for key in made.values()]
    assert [each[1:3] + each[5:] for each in seen] == [
        ["admin", "active", "never", "*", "first of them"],
        ["fetcher", "expired", "never", "acme-*", "second"],
        ["fetcher", "revoked", "never", "*", "third"],
    ]
    assert seen[0][4] == "never" and re.fullmatch(TIME, seen[1][4])
    assert not any(key[4:] in done.stdout for key in made.values())


def test_revoke_twice_is_no_error_and_an_unknown_id_is(database):
    key = keys.create(database, "admin")
    number = keys.id_of(database, key)
    assert keys.run(database, "revoke", number).stdout == f"key {number} is revoked\n"
    revoked_at = database.one("SELECT revoked_at FROM api_keys")
    again = keys.run(database, "revoke", number)
    assert (again.returncode, again.stdout) == (0, f"key {number} was revoked before\n")
    assert database.one("SELECT revoked_at FROM api_keys") == revoked_at
    unknown = keys.run(database, "revoke", number + 1)
    assert (unknown.returncode, unknown.stdout) == (1, "") and f"no key {number + 1}" in unknown.stderr


@pytest.mark.parametrize("operand", ["", "0", "-1", "1x", "one", "99999999999999999999"])
def test_revoke_wants_an_id(database, operand):
    done = keys.run(database, "revoke", "--", operand)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no id" in done.stderr


def test_revoke_without_an_id_is_wrong_usage(database):
    done = keys.run(database, "revoke")
    assert (done.returncode, done.stdout) == (2, "") and "ID is missing" in done.stderr


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_each_command_has_help(database, command):
    done = keys.run(database, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: token-service key {command}") and "DATABASE_ADMIN_URL" in done.stdout


def test_key_alone_lists_its_commands(database):
    """On standard output when help was asked for, else exit 2 and standard error."""
    shown = keys.run(database, "--help")
    assert shown.returncode == 0 and all(f"key {each}" in shown.stdout for each in ("create", "list", "revoke"))
    assert "serve" not in shown.stdout
    for arguments in ((), ("nonsense",)):
        done = keys.run(database, *arguments)
        assert (done.returncode, done.stdout) == (2, "") and "key revoke" in done.stderr


def test_database_out_of_reach_is_said_without_its_password(database):
    done = keys.run(database, "list", DATABASE_ADMIN_URL="postgresql://owner:hunter2@localhost:1/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be reached" in done.stderr and "hunter2" not in done.stderr


def test_workers_login_cannot_make_a_key(database):
    """DATABASE_ADMIN_URL is what counts, and the workers' login is not enough."""
    done = keys.run(database, *CREATE, DATABASE_ADMIN_URL=database.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "permission denied" in done.stderr and row(database) is None


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:hunter2@host/db"])
def test_wrong_admin_url_is_named_without_its_password(database, url):
    done = keys.run(database, "list", DATABASE_ADMIN_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("DATABASE_ADMIN_URL: ") and "hunter2" not in done.stderr
