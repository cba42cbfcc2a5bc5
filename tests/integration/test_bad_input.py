"""What comes from outside may be anything: each call is answered as the contract says, and no input ends a worker."""

import contextlib
import itertools
import json
import random
import re
import struct
from urllib.parse import quote

import pytest

from support import raw
from support.flow import Browser, connect_fast, expire, query, register, registration
from support.processes import wait_until

JSON = {"Content-Type": "application/json"}
WIDE = "\U0001f3e2"  # four bytes of UTF-8, one character
FIELDS = ["client_id", "client_secret", "redirect_uri", "branch_id", "workspace_email", "workspace_name"]
REQUIRED = FIELDS[:-1]
PATCHABLE = ["client_secret", "redirect_uri", "workspace_email", "workspace_name"]


def faults_of(response):
    """The fields of a 422, in the order of the answer."""
    assert response.status_code == 422, response.text
    assert response.json()["error"] == "validation_failed"
    return [fault["field"] for fault in response.json()["detail"]]


def answer_of(response):
    """(status, code); the code of a good answer is None."""
    body = response.json()
    return response.status_code, body.get("error")


def all_workers(service):
    """The pids once every worker of the configuration runs."""
    started = service.log_events("started")[0]
    # One refresher stays for the housekeeping.
    number = started["database_workers"] + started["exchange_workers"] + max(1, started["refreshers"])
    return wait_until(lambda: len(pids := service.worker_pids()) == number and pids, what="all workers run")


@pytest.fixture
def same_workers(service):
    """Fails when a worker has ended by the end of the test."""
    before = all_workers(service)
    yield service
    assert service.get("/health").status_code == 200
    assert service.post("/tokens/refresh", json={"branch_id": "nobody"}).status_code == 404
    assert service.worker_pids() == before, service.stderr()[-3000:]
    assert not service.log_events("worker killed", "worker failed", "worker past its deadline")


# --- JSON -------------------------------------------------------------------------------------------

NO_JSON = {
    "empty": b"",
    "space": b"  \n",
    "open": b"{",
    "open-string": b'{"a": "b',
    "open-array": b'{"a": [1, 2',
    "no-value": b'{"a":}',
    "no-key": b"{1: 2}",
    "bare-word": b'{"a": yes}',
    "trailing-comma": b'{"a": 1,}',
    "trailing-text": b"{} {}",
    "trailing-nul": b"{}\0",
    "single-quotes": b"{'a': 'b'}",
    "comment": b'{"a": 1 /* one */}',
    "nan": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "minus-infinity": b'{"a": -Infinity}',
    "upper-case-true": b'{"a": TRUE}',
    "leading-zero": b'{"a": 01}',
    "leading-plus": b'{"a": +1}',
    "bare-point": b'{"a": .5}',
    "point-at-the-end": b'{"a": 1.}',
    "exponent-missing": b'{"a": 1e}',
    "two-minus": b'{"a": --1}',
    "bad-escape": rb'{"a": "\x41"}',
    "bad-unicode-escape": rb'{"a": "\u12g4"}',
    "raw-newline-in-string": b'{"a": "b\nc"}',
    "raw-nul-in-string": b'{"a": "b\0c"}',
    "no-utf-8": b'{"a": "\xff"}',
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-16": '{"a": "b"}'.encode("utf-16"),
    "utf-8-cut": '{"a": "é"}'.encode()[:-3] + b'"}',
    "overlong": b'{"a": "\xc0\xaf"}',
    "surrogate-in-utf-8": b'{"a": "\xed\xa0\x80"}',
    "past-the-last-plane": b'{"a": "\xf4\x90\x80\x80"}',
    "byte-order-mark": b'\xef\xbb\xbf{"a": 1}',
    "nested-arrays": b'{"a": ' + b"[" * 10000 + b"]" * 10000 + b"}",
    "nested-objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "nested-without-end": b"[" * 60000,
}


def calls_with_a_body(service):
    client = register(service)
    return [("POST", "/clients"), ("POST", "/tokens/refresh"), ("PATCH", f"/clients/{client['client_id']}")]


def test_body_that_is_no_json_is_malformed(same_workers):
    """RFC 8259 in UTF-8, of reasonable depth; everything else is refused, by each call that takes a body."""
    wrong = {}
    for method, path in calls_with_a_body(same_workers):
        for name, body in NO_JSON.items():
            got = answer_of(same_workers.request(method, path, content=body, headers=JSON))
            if got != (400, "malformed_request"):
                wrong[name, path] = got
    assert not wrong, wrong


NO_OBJECT = [b"[]", b'"text"', b"1", b"-0.5e3", b"true", b"null", b"[{}]", b" 0 "]


def test_json_that_is_no_object_fails_validation(same_workers):
    """It could be read, so that it is a 422 and not a 400."""
    for method, path in calls_with_a_body(same_workers):
        for body in NO_OBJECT:
            answer = same_workers.request(method, path, content=body, headers=JSON)
            assert faults_of(answer) == ["body"], (body, path)


ODD_VALUES = {
    "huge-integer": b"1" + b"0" * 400,
    "huge-exponent": b"1e400",
    "small-exponent": b"1e-400",
    "negative-zero": b"-0",
    "escaped-nul": rb'"a\u0000b"',
    "surrogate-pair": rb'"\ud83c\udfe2"',
    "nested": b"[[[[{}]]]]",
    "long-key": b'{"' + b"k" * 30000 + b'": 1}',
    "many-keys": b"{" + b",".join(b'"%d": %d' % (i, i) for i in range(4000)) + b"}",
}


def test_unknown_fields_are_ignored_whatever_they_hold(same_workers):
    """A caller that sends more than is known is served as if it had not."""
    wrong = {}
    for name, value in ODD_VALUES.items():
        body = json.dumps(registration(same_workers)).encode()[:-1] + b', "unknown": ' + value + b"}"
        answer = same_workers.post("/clients", content=body, headers=JSON)
        if answer.status_code != 201 or "unknown" in answer.text:
            wrong[name] = answer.text
    assert not wrong


def test_nul_in_a_field_is_refused(same_workers):
    """PostgreSQL cannot store it, and C would cut the text there."""
    for field in FIELDS:
        body = registration(same_workers)
        body[field] = body[field] + "\0"
        assert faults_of(same_workers.post("/clients", json=body)) == [field]


def test_lone_surrogate_is_refused(same_workers):
    """It is no character: stored as something else, two branches could get one name, and a secret be wrong."""
    taken = []
    for field in ("client_secret", "branch_id", "workspace_name"):
        for escape in (r"\ud800", r"a\udfff", r"\udc00\ud800", r"\ud800\u0041"):
            body = json.dumps(registration(same_workers, **{field: "PLACE"})).replace("PLACE", escape)
            answer = same_workers.post("/clients", content=body, headers=JSON)
            if answer.status_code not in (400, 422):
                taken.append((field, escape, answer.text))
    assert not taken


# --- the fields of a registration -------------------------------------------------------------------

NO_STRINGS = [None, 1, 1.5, True, False, [], ["x"], {}, {"x": "y"}]


def test_field_of_a_wrong_type_is_refused(same_workers):
    """Every field of POST /clients is a string; workspace_name may also be null, which is like leaving it out."""
    for field, value in itertools.product(FIELDS, NO_STRINGS):
        answer = same_workers.post("/clients", json=registration(same_workers, **{field: value}))
        if field == "workspace_name" and value is None:
            assert answer.status_code == 201, answer.text
            assert answer.json()["workspace_name"] is None
        else:
            assert faults_of(answer) == [field], (field, value)


def test_changed_field_of_a_wrong_type_is_refused(same_workers):
    """PATCH holds the same rules; a null workspace_name clears it."""
    client = register(same_workers)
    for field, value in itertools.product(PATCHABLE, NO_STRINGS):
        answer = same_workers.patch(f"/clients/{client['client_id']}", json={field: value})
        if field == "workspace_name" and value is None:
            assert (answer.status_code, answer.json()["workspace_name"]) == (200, None)
        else:
            assert faults_of(answer) == [field], (field, value)


def of_length(field, length, char):
    """A good value of so many characters."""
    around = {
        "redirect_uri": ("https://tokens.example.test/", "/auth/callback"),
        "workspace_email": ("", "@example.test"),
    }
    before, after = around.get(field, ("", ""))
    return before + char * (length - len(before) - len(after)) + after


LIMITS = {
    "client_id": 255, "client_secret": 512, "redirect_uri": 512, "branch_id": 255, "workspace_email": 255,
    "workspace_name": 255,
}


@pytest.mark.parametrize("field", FIELDS)
def test_length_is_limited_in_characters(same_workers, field):
    """At the limit good and answered as it was sent, one more is refused, however many bytes a character has."""
    shown = {"client_id": "client_oauth_id", "branch_id": "branch_identifier", "workspace_email": "email"}
    # A URI is ASCII.
    for char in ("x",) if field == "redirect_uri" else ("x", WIDE):
        at_limit, one_more = of_length(field, LIMITS[field], char), of_length(field, LIMITS[field] + 1, char)
        answer = same_workers.post("/clients", json=registration(same_workers, **{field: at_limit}))
        assert answer.status_code == 201, answer.text
        if field != "client_secret":
            assert answer.json()[shown.get(field, field)] == at_limit
        body = registration(same_workers, **{field: one_more})
        assert faults_of(same_workers.post("/clients", json=body)) == [field]
        if field in PATCHABLE:
            path = f"/clients/{answer.json()['client_id']}"
            assert same_workers.patch(path, json={field: at_limit}).status_code == 200
            assert faults_of(same_workers.patch(path, json={field: one_more})) == [field]


def test_branch_of_the_longest_name_is_found(same_workers, provider):
    """255 characters of four bytes fit into a path."""
    branch = WIDE * 255
    client = register(same_workers, provider, branch_id=branch)
    grant = connect_fast(same_workers, provider, client)
    answer = same_workers.get("/tokens/" + quote(branch, safe=""))
    assert (answer.status_code, answer.json()["access_token"]) == (200, grant["access_token"])
    expire(same_workers, client)
    assert same_workers.get("/tokens/" + quote(branch, safe="")).status_code == 200
    assert same_workers.post("/tokens/refresh", json={"branch_id": branch}).status_code == 200


def test_empty_fields_are_refused(same_workers):
    """One character at least; only the workspace's name may be empty."""
    answer = same_workers.post("/clients", json={**dict.fromkeys(FIELDS, ""), "workspace_name": ""})
    assert faults_of(answer) == REQUIRED


def test_all_faults_are_listed_at_once(same_workers):
    """A caller corrects its request in one go."""
    wrong = {
        "client_id": 1, "client_secret": "x" * 513, "redirect_uri": "/auth/callback", "branch_id": "..",
        "workspace_email": "nobody", "workspace_name": ["x"],
    }
    answer = same_workers.post("/clients", json=wrong)
    assert faults_of(answer) == FIELDS
    assert all(fault["message"] for fault in answer.json()["detail"])
    assert faults_of(same_workers.post("/clients", json={})) == REQUIRED
    assert same_workers.database.one("SELECT count(*) FROM clients") == (0,)


def test_refused_change_changes_nothing(same_workers):
    """One wrong field of a PATCH keeps the good ones from being stored; what is not to be changed is said."""
    client = register(same_workers)
    path = f"/clients/{client['client_id']}"
    before = same_workers.get(path).json()
    wrong = {
        "client_id": "x", "branch_id": "x", "workspace_email": "nobody", "is_active": "no", "workspace_name": "new",
    }
    assert faults_of(same_workers.patch(path, json=wrong)) == ["client_id", "branch_id", "workspace_email", "is_active"]
    assert same_workers.get(path).json() == before


REFRESH_BODIES = [
    ({}, ["branch_id"]),
    ({"client_id": "1"}, ["client_id"]),
    ({"client_id": None}, ["branch_id"]),
    ({"client_id": 1.5}, ["client_id"]),
    ({"client_id": True}, ["client_id"]),
    ({"client_id": [1]}, ["client_id"]),
    ({"branch_id": 1}, ["branch_id"]),
    ({"branch_id": None}, ["branch_id"]),
    ({"branch_id": {}}, ["branch_id"]),
    ({"branch_id": "a\0b"}, ["branch_id"]),
    ({"client_id": 1, "branch_id": "b"}, ["branch_id"]),
]


def test_refresh_body_is_checked(same_workers):
    """POST /tokens/refresh takes one of client_id (a number) and branch_id (a string)."""
    for body, fields in REFRESH_BODIES:
        assert faults_of(same_workers.post("/tokens/refresh", json=body)) == fields, body


def test_refresh_of_a_number_that_is_no_clients(same_workers):
    """A number that no client has is not found, however large; never another client's."""
    register(same_workers)
    same_workers.database.execute("UPDATE clients SET id = 9223372036854775807")
    for number in (0, -1, 2**31, -(2**63), 2**63, 2**64, 10**40):
        answer = same_workers.post("/tokens/refresh", json={"client_id": number})
        assert answer_of(answer) in [(404, "client_not_found"), (422, "validation_failed")], (number, answer.text)


# --- redirect URIs ----------------------------------------------------------------------------------

REDIRECT_URIS = {
    "http://localhost:8002/auth/callback": (True, True),
    "http://localhost/auth/callback": (True, True),
    "http://LOCALHOST:8002/auth/callback": (True, True),
    "http://127.0.0.1:8002/auth/callback": (True, True),
    "http://[::1]:8002/auth/callback": (True, True),
    "https://tokens.example.test/auth/callback": (True, True),
    "https://tokens.example.test:8443/prefix/auth/callback": (True, True),
    "HTTPS://tokens.example.test/auth/callback": (True, True),
    "https://tokens.example.test/auth/callback?tenant=1": (True, True),
    "https://192.0.2.1/auth/callback": (True, True),
    "http://tokens.example.test/auth/callback": (True, False),
    "http://127.0.0.2/auth/callback": (True, False),
    "http://localhost.example.test/auth/callback": (True, False),
    "http://localhost.:8002/auth/callback": (None, False),
    "http://[::ffff:127.0.0.1]/auth/callback": (True, False),
    "": (False, False),
    " ": (False, False),
    "/auth/callback": (False, False),
    "auth/callback": (False, False),
    "//tokens.example.test/auth/callback": (False, False),
    "tokens.example.test/auth/callback": (False, False),
    "tokens.example.test:443/auth/callback": (False, False),
    "https:/auth/callback": (False, False),
    "https:tokens.example.test/auth/callback": (False, False),
    "https://": (False, False),
    "https://tökens.example.test/auth/callback": (None, None),
    "https://tokens.example.test/äuth/callback": (None, None),
    "https:///auth/callback": (False, False),
    "https://:443/auth/callback": (False, False),
    "ftp://tokens.example.test/auth/callback": (False, False),
    "javascript:alert(1)": (False, False),
    "javascript://tokens.example.test/%0aalert(1)": (False, False),
    "data:text/html,x": (False, False),
    "urn:ietf:wg:oauth:2.0:oob": (False, False),
    "https://tokens.example.test/auth/callback#part": (False, False),
    "https://tokens.example.test/auth/callback#": (False, False),
    "https://user@tokens.example.test/auth/callback": (False, False),
    "https://user:password@tokens.example.test/auth/callback": (False, False),
    "https://tokens.example.test:0x50/auth/callback": (False, False),
    "https://tokens.example.test:65536/auth/callback": (False, False),
    "https://tokens.example.test/auth/call back": (False, False),
    " https://tokens.example.test/auth/callback": (False, False),
    "https://tokens.example.test/auth/callback\n": (False, False),
    "https://tokens.example.test/auth/callback\r\nSet-Cookie: a=b": (False, False),
    "https://tokens.example.test\\@example.org/auth/callback": (False, False),
    "https://tokens.example.test/auth/\x01callback": (False, False),
    'https://tokens.example.test/"><script>': (False, False),
    "https://[::1/auth/callback": (False, False),
    "https://tokens example test/auth/callback": (False, False),
}


@pytest.mark.parametrize("environment", ["development", "production"])
def test_redirect_uri_is_an_absolute_url(make_service, environment):
    """http or https, no fragment, nothing a browser would read differently; in production https unless loopback."""
    service = make_service({"ENVIRONMENT": environment, "API_AUTH": "off", "API_AUTH_OFF_IN_PRODUCTION": "accept"})
    wrong = {}
    for uri, good_in in REDIRECT_URIS.items():
        good = good_in[environment == "production"]
        answer = service.post("/clients", json=registration(service, redirect_uri=uri))
        if good is None:
            assert answer.status_code in (201, 422)
        elif (answer.status_code == 201) != good:
            wrong[uri] = answer.text
        elif not good:
            assert faults_of(answer) == ["redirect_uri"]
        else:
            assert answer.json()["redirect_uri"] == uri
    assert not wrong


# --- branch ids and paths ---------------------------------------------------------------------------

GOOD_BRANCHES = [
    "a", "0", "branch 1", "brånch", WIDE, "日本語", "a.b", "...", ".a", "-", "--help", "a+b", "a%2fb", "%", "%00", "%zz",
    "a?b=c", "a#b", "a&b", "a=b", "a\\b", "'; DROP TABLE clients; --", "<script>", '"', "refresh", "a:b@c", "~", "é",
    " ", "null", "\u2028", "a\u0301",
]
BAD_BRANCHES = ["", ".", "..", "/", "a/b", "/a", "a/", "\n", "a\tb", "a\rb", "\x01", "\x1f", "\x7f", "\x80", "\x9f", "a\x85b"]


def test_branch_id_of_odd_characters_is_found_again(same_workers, provider):
    """What is registered is reached by its percent-encoded path, and is that branch and no other."""
    grants = {}
    for branch in GOOD_BRANCHES:
        client = register(same_workers, provider, branch_id=branch)
        assert client["branch_identifier"] == branch
        grants[branch] = connect_fast(same_workers, provider, client)["access_token"]
    for branch, access_token in grants.items():
        for path in (quote(branch, safe=""), "".join(f"%{byte:02x}" for byte in branch.encode())):
            answer = raw.send(same_workers, raw.request(b"GET", b"/tokens/" + path.encode()))
            assert answer.status_code == 200, (path, answer.text)
            assert (answer.json()["branch_id"], answer.json()["access_token"]) == (branch, access_token)
        listed = same_workers.get("/clients", params={"q": branch}).json()["clients"]
        assert branch in [each["branch_identifier"] for each in listed]


def test_branch_id_of_bad_characters_is_refused(same_workers):
    """No control characters, no slash, and nothing a path would swallow."""
    for branch in BAD_BRANCHES:
        answer = same_workers.post("/clients", json=registration(same_workers, branch_id=branch))
        assert faults_of(answer) == ["branch_id"], branch


MALFORMED, NO_BRANCH, NO_PATH = (400, "malformed_request"), (404, "branch_not_found"), (404, "not_found")
NO_CLIENT = (404, "client_not_found")
PATHS = {
    b"/tokens/%": MALFORMED,
    b"/tokens/%4": MALFORMED,
    b"/tokens/%zz": MALFORMED,
    b"/tokens/%4g": MALFORMED,
    b"/tokens/a%": MALFORMED,
    b"/tokens/%00": MALFORMED,
    b"/tokens/a%00b": MALFORMED,
    b"/tokens/%ff": MALFORMED,
    b"/tokens/%c0%80": MALFORMED,
    b"/tokens/%c3": MALFORMED,
    b"/tokens/%ed%a0%80": MALFORMED,
    b"/tokens/%f4%90%80%80": MALFORMED,
    b"/tokens/\xff": MALFORMED,
    b"/tokens/%c3%28": MALFORMED,
    b"/clients/%ff": MALFORMED,
    b"/oauth/login/%ff": MALFORMED,
    b"/tokens/a%2fb": NO_BRANCH,
    b"/tokens/a%2Fb": NO_BRANCH,
    b"/tokens/%2e": NO_BRANCH,
    b"/tokens/%2e%2e": NO_BRANCH,
    b"/tokens/x%2f..": NO_BRANCH,
    b"/tokens/\xc3\xa9": NO_BRANCH,
    b"/tokens/%0a": NO_BRANCH,
    b"/tokens/%0d%0aSet-Cookie:%20a=b": NO_BRANCH,
    b"/tokens/known%20": NO_BRANCH,
    b"/tokens/KNOWN": NO_BRANCH,
    b"/tokens/known+": NO_BRANCH,
    b"/tokens/" + b"x" * 4000: NO_BRANCH,
    b"/tokens/": NO_PATH,
    b"/tokens": NO_PATH,
    b"//tokens/known": NO_PATH,
    b"/tokens//known": NO_PATH,
    b"/tokens/known/": NO_PATH,
    b"/tokens/./known": NO_PATH,
    b"/x/../tokens/known": NO_PATH,
    b"/%74okens/known": NO_PATH,
    b"/tokens%2fknown": NO_PATH,
    b"/x/../auth/callback": NO_PATH,
    b"/auth/callback/": NO_PATH,
    b"/%61uth/callback": NO_PATH,
    b"/oauth/login/": NO_PATH,
    b"/oauth/login": NO_PATH,
    b"/_error": NO_PATH,
    b"/@exchange": NO_PATH,
    b"/TOKENS/known": NO_PATH,
    b"/clients/0": NO_CLIENT,
    b"/clients/-1": NO_CLIENT,
    b"/clients/+1": NO_CLIENT,
    b"/clients/1.0": NO_CLIENT,
    b"/clients/1e0": NO_CLIENT,
    b"/clients/0x1": NO_CLIENT,
    b"/clients/%201": NO_CLIENT,
    b"/clients/1%20": NO_CLIENT,
    b"/clients/abc": NO_CLIENT,
    b"/clients/9223372036854775807": NO_CLIENT,
    b"/clients/9223372036854775808": NO_CLIENT,
    b"/clients/18446744073709551617": NO_CLIENT,
    b"/oauth/login/18446744073709551617": NO_CLIENT,
    b"/oauth/login/1abc": NO_CLIENT,
    b"/tokens/known": (200, None),
    b"/tokens/%6b%6E%6f%77%6e": (200, None),
    b"/tokens/known?": (200, None),
    b"/tokens/known?unknown=1&unknown2": (200, None),
    b"http://example.test/tokens/known": (200, None),
}


def test_paths_are_taken_as_they_were_sent(same_workers, provider):
    """Each is split first and decoded then; nothing is normalised, and what cannot be decoded is malformed."""
    client = register(same_workers, provider, branch_id="known")
    connect_fast(same_workers, provider, client)
    wrong = {}
    for path, expected in PATHS.items():
        got = answer_of(raw.send(same_workers, raw.request(b"GET", path)))
        if got != expected:
            wrong[path] = got
    assert not wrong


INVALID = (422, "validation_failed")
GOOD = (200, None)
STATE = (400, "invalid_state")
QUERIES = {
    b"/clients?limit=%zz": MALFORMED,
    b"/clients?limit=%": MALFORMED,
    b"/clients?limit=1%00": MALFORMED,
    b"/clients?q=%ff": MALFORMED,
    b"/clients?%ff=1": MALFORMED,
    b"/clients?limit=1&limit=1": MALFORMED,
    b"/clients?limit=1&li%6dit=2": MALFORMED,
    b"/clients?x&x": MALFORMED,
    b"/clients?" + b"&".join(b"p%d=1" % i for i in range(33)): MALFORMED,
    b"/clients?limit=": INVALID,
    b"/clients?limit": INVALID,
    b"/clients?limit=0": INVALID,
    b"/clients?limit=-1": INVALID,
    b"/clients?limit=1001": INVALID,
    b"/clients?limit=1.5": INVALID,
    b"/clients?limit=+1": INVALID,
    b"/clients?limit=99999999999999999999": INVALID,
    b"/clients?limit=many": INVALID,
    b"/clients?after=-1": INVALID,
    b"/clients?after=9223372036854775808": INVALID,
    b"/clients?q=" + b"x" * 257: INVALID,
    b"/clients?limit=1000&after=9223372036854775807&q=": GOOD,
    b"/clients?&&limit=1&": GOOD,
    b"/clients?LIMIT=x": GOOD,
    b"/clients?q=%25_%5c%27%22": GOOD,
    b"/clients?q=%5c" + b"x" * 255: GOOD,
    b"/clients?q=" + b"_" * 256: GOOD,
    b"/clients?" + b"&".join(b"p%d=1" % i for i in range(32)): GOOD,
    b"/tokens/known?min_ttl=3001": INVALID,
    b"/tokens/known?min_ttl=-1": INVALID,
    b"/tokens/known?min_ttl=": INVALID,
    b"/tokens/known?min_ttl=1e3": INVALID,
    b"/tokens/known?min_ttl=0x10": INVALID,
    b"/tokens/known?min_ttl=%201": INVALID,
    b"/tokens/known?min_ttl=1&min_ttl=1": MALFORMED,
    b"/tokens/known?x=%zz": MALFORMED,
    b"/tokens/known?min_ttl=0": GOOD,
    b"/tokens/known?min_ttl=%33000": GOOD,
    b"/auth/callback?state=a&state=b": MALFORMED,
    b"/auth/callback?code=a&code=a&state=b": MALFORMED,
    b"/auth/callback?iss=a&iss=b": MALFORMED,
    b"/auth/callback?state=%zz": MALFORMED,
    b"/auth/callback?state=%00": MALFORMED,
    b"/auth/callback?state=%ff": MALFORMED,
    b"/auth/callback?error=%c3&state=x": MALFORMED,
    b"/auth/callback": STATE,
    b"/auth/callback?": STATE,
    b"/auth/callback?state=": STATE,
    b"/auth/callback?state=" + b"A" * 43: STATE,
    b"/auth/callback?state=" + b"A" * 42 + b"%27": STATE,
    b"/auth/callback?state=" + b"A" * 8000: STATE,
    b"/auth/callback?error=access_denied": STATE,
    b"/oauth/login/999999?redirected=%zz": MALFORMED,
    b"/oauth/login/999999?redirected=1&redirected=1": MALFORMED,
}


def test_queries_are_read_strictly(same_workers, provider):
    """Each parameter once, well encoded, in range; unknown ones are ignored."""
    client = register(same_workers, provider, branch_id="known")
    connect_fast(same_workers, provider, client)
    wrong = {}
    for target, expected in QUERIES.items():
        got = answer_of(raw.send(same_workers, raw.request(b"GET", target)))
        if got != expected:
            wrong[target] = got
    assert not wrong


COOKIES = [
    b"token_service_login=", b"token_service_login", b"=", b";;;", b"token_service_login=" + b"A" * 42,
    b"token_service_login=" + b"A" * 44, b"token_service_login=" + b"A" * 42 + b"\xff", b"token_service_login=" + b"A" * 4000,
    b"__Host-token_service_login=" + b"B" * 43, b'token_service_login="' + b"A" * 43 + b'"', b"a=b; token_service_login=" + b"'" * 43,
]


def test_odd_cookies_neither_log_in_nor_break_a_login(same_workers, provider):
    """A browser's cookies may be anything: a login gives a good one, and a callback is refused."""
    client = register(same_workers, provider)
    for cookie in COOKIES:
        check_cookie(same_workers, client, cookie)


def check_cookie(same_workers, client, cookie):
    headers = [(b"Cookie", cookie)]
    login = raw.send(same_workers, raw.request(b"GET", b"/oauth/login/%d" % client["client_id"], headers))
    # Its host is another than the redirect URI's, so that it is sent there; the mark stops that.
    assert login.status_code == 302
    login = raw.send(same_workers, raw.request(b"GET", b"/oauth/login/%d?redirected=1" % client["client_id"], headers))
    assert login.status_code == 302
    if not cookie.startswith(b"__Host-"):
        assert re.match(r"token_service_login=[A-Za-z0-9_-]{43};", login.headers["set-cookie"])
    state = query(login.headers["location"])["state"].encode()
    headers = [(b"Cookie", b"token_service_login=" + b"Z" * 43)]
    callback = raw.send(same_workers, raw.request(b"GET", b"/auth/callback?code=x&state=" + state, headers))
    assert answer_of(callback) == STATE


def test_login_goes_only_to_addresses_that_are_configured(same_workers, provider):
    """Host, X-Forwarded-Host and the like choose no address: there is no open redirect."""
    client = register(same_workers, provider)
    for header in [b"Host", b"X-Forwarded-Host", b"Forwarded", b"X-Host", b"X-Original-URL"]:
        request = raw.request(b"GET", b"/oauth/login/%d" % client["client_id"], [(header, b"evil.example.test")])
        if header == b"Host":
            request = request.replace(b"Host: localhost\r\n", b"", 1)
        answer = raw.send(same_workers, request)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith((provider.url, client["login_url"]))
        assert "evil" not in answer.headers["location"]


# --- bodies -----------------------------------------------------------------------------------------


def padded(body, size):
    """The JSON of body with an unknown field that makes it so many bytes."""
    text = json.dumps({**body, "padding": ""}).encode()
    return text.replace(b'"padding": ""', b'"padding": "' + b"x" * (size - len(text)) + b'"')


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_body_of_64_kib_is_the_largest(same_workers, chunked):
    """65,536 bytes are read to the end, one more is a 413; with and without a length in front."""
    client = register(same_workers)
    calls = [
        ("POST", "/clients", registration(same_workers), 201),
        ("PATCH", f"/clients/{client['client_id']}", {"workspace_name": "new"}, 200),
        ("POST", "/tokens/refresh", {"client_id": client["client_id"]}, 404),
    ]
    for method, path, body, status in calls:
        for size, expected in [(65537, 413), (65536, status)]:
            content = padded(body, size)
            assert len(content) == size
            parts = iter([content[:1], content[1:40000], content[40000:]]) if chunked else content
            answer = same_workers.request(method, path, content=parts, headers=JSON)
            assert answer.status_code == expected, (path, size, answer.text)
            assert answer.status_code != 413 or answer.json()["error"] == "body_too_large"


TYPES = {
    "application/json": True, "application/json; charset=utf-8": True, "application/json;charset=UTF-8": True,
    "APPLICATION/Json": True, "application/json ; x=y": True, None: False, "": False, "text/plain": False,
    "text/json": False, "application/x-www-form-urlencoded": False, "application/jsonp": False,
    "application/json-patch+json": False, "application/xml": False, "multipart/form-data; boundary=x": False,
    "application/json, text/plain": False, "json": False, "*/*": False,
}


def test_body_has_to_be_declared_as_json(same_workers):
    """So that a page in a browser cannot send one without asking first."""
    for (method, path), (content_type, good) in itertools.product(calls_with_a_body(same_workers), TYPES.items()):
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = same_workers.request(method, path, content=b"{}", headers=headers)
        assert (answer.status_code == 415) != good, (path, content_type, answer.text)
        assert good or answer.json()["error"] == "unsupported_media_type"


def test_body_of_a_get_is_ignored(same_workers):
    """It is read, so that it is not taken for the next request on a kept connection."""
    for size in (1, 20_000, 65_536):
        answers = [same_workers.request("GET", "/tokens/nobody", content=b"\x01" * size) for _ in range(4)]
        assert {answer_of(answer) for answer in answers} == {NO_BRANCH}
        assert same_workers.get("/health").status_code == 200


# --- past nginx -------------------------------------------------------------------------------------

POOLS = ["database", "exchange"]
RANDOM = random.Random(20260116)
FASTCGI_GARBAGE = {
    "nothing": b"",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "noise": RANDOM.randbytes(65536),
    "half-a-header": raw.begin()[:5],
    "half-a-record": raw.begin()[:-3],
    "version-unknown": raw.record(raw.BEGIN_REQUEST, struct.pack("!HB5x", 1, 0), version=9) + raw.fastcgi_request(),
    "role-unknown": raw.begin(role=77) + raw.record(raw.PARAMS) + raw.record(raw.STDIN),
    "role-authorizer": raw.begin(role=2) + raw.record(raw.PARAMS),
    "role-filter": raw.begin(role=3) + raw.record(raw.PARAMS) + raw.record(raw.STDIN),
    "begin-twice": raw.begin() + raw.fastcgi_request(),
    "begin-too-short": raw.record(raw.BEGIN_REQUEST, b"\0\1") + raw.record(raw.PARAMS),
    "no-begin": raw.record(raw.PARAMS, raw.pair(b"REQUEST_METHOD", b"GET")) + raw.record(raw.PARAMS),
    "no-params": raw.begin() + raw.record(raw.PARAMS) + raw.record(raw.STDIN),
    "params-cut": raw.begin() + raw.record(raw.PARAMS, raw.pair(b"REQUEST_URI", b"/x" * 50)[:-20]) + raw.record(raw.PARAMS),
    "params-of-2-gib": raw.begin() + raw.record(raw.PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff" + b"x" * 100) + raw.record(raw.PARAMS),
    "param-of-16-mib": raw.begin() + raw.record(raw.PARAMS, b"\x81\0\0\0\x01" + b"x" * 100) + raw.record(raw.PARAMS),
    "params-of-length-0": raw.begin() + raw.record(raw.PARAMS, b"\0\0" * 2000) + raw.record(raw.PARAMS) + raw.record(raw.STDIN),
    "record-longer-than-sent": raw.begin() + struct.pack("!BBHHBB", 1, raw.PARAMS, 1, 65535, 255, 0) + b"x" * 10,
    "stdin-cut": raw.fastcgi_request("POST", "/clients", b'{"a": 1}')[:-12],
    "length-lies-long": raw.fastcgi_request("POST", "/clients", b"{}", CONTENT_LENGTH="60000"),
    "length-lies-short": raw.fastcgi_request("POST", "/clients", b"{}" * 500, CONTENT_LENGTH="2"),
    "length-negative": raw.fastcgi_request("POST", "/clients", b"{}", CONTENT_LENGTH="-1"),
    "length-no-number": raw.fastcgi_request("POST", "/clients", b"{}", CONTENT_LENGTH="many"),
    "body-past-the-limit": raw.begin() + raw.record(raw.PARAMS, raw.pair(b"REQUEST_METHOD", b"POST") + raw.pair(
        b"REQUEST_URI", b"/clients") + raw.pair(b"CONTENT_TYPE", b"application/json")) + raw.record(raw.PARAMS)
        + raw.record(raw.STDIN, b"x" * 60000) * 20 + raw.record(raw.STDIN),
    "another-request-id": raw.begin() + raw.record(raw.PARAMS, b"x" * 8, request_id=7) + raw.record(raw.PARAMS),
    "abort": raw.begin() + raw.record(raw.ABORT_REQUEST),
    "get-values": raw.record(raw.GET_VALUES, raw.pair(b"FCGI_MAX_CONNS", b""), request_id=0),
    "get-values-long": raw.record(raw.GET_VALUES, raw.pair(b"x" * 5000, b"y" * 5000), request_id=0),
    "management-unknown": raw.record(11, b"x" * 8, request_id=0),
    "type-unknown": raw.record(200, b"x" * 8) + raw.fastcgi_request(),
    "uri-missing": raw.begin() + raw.record(raw.PARAMS, raw.pair(b"REQUEST_METHOD", b"GET")) + raw.record(raw.PARAMS) + raw.record(raw.STDIN),
    "uri-of-60-kb": raw.fastcgi_request("GET", "/tokens/" + "x" * 60000),
    "uri-of-bad-bytes": raw.fastcgi_request("GET", "tokens\n\r\x01?%"),
    "method-long": raw.fastcgi_request("G" * 5000, "/"),
    "request-id-long": raw.fastcgi_request(REQUEST_ID="x" * 5000),
    "request-id-splits-a-header": raw.fastcgi_request(REQUEST_ID="x\r\nSet-Cookie: a=b"),
    "arrived-odd": raw.fastcgi_request("GET", "/tokens/x", REQUEST_ARRIVED="nan"),
    "arrived-never": raw.fastcgi_request("POST", "/tokens/refresh", b'{"branch_id": "x"}', REQUEST_ARRIVED="1e308"),
    "arrived-before-time": raw.fastcgi_request("POST", "/tokens/refresh", b'{"branch_id": "x"}', REQUEST_ARRIVED="-1e308"),
    "two-requests-at-once": raw.fastcgi_request() + raw.fastcgi_request(),
}


def fastcgi(service, pool, data):
    """What comes back for these bytes, after which nothing more is sent."""
    with contextlib.closing(raw.connect(service, pool)) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
            connection.shutdown(1)
        return raw.drain(connection)


@pytest.mark.parametrize("pool", POOLS)
def test_garbage_in_the_fastcgi_sockets_ends_no_worker(same_workers, pool):
    """nginx sends none of this, whoever may open the sockets can; the same workers go on."""
    before = same_workers.worker_pids()
    for name, data in FASTCGI_GARBAGE.items():
        for _ in range(3):
            assert b"\nSet-Cookie" not in fastcgi(same_workers, pool, data), name
        assert b"Status: 200" in fastcgi(same_workers, "database", raw.fastcgi_request()), name
        assert same_workers.worker_pids() == before, name


@pytest.mark.parametrize("pool", POOLS)
def test_peer_that_leaves_without_reading_ends_no_worker(same_workers, pool):
    """A closed connection is an error to write to, and a signal where it is not ignored."""
    for _ in range(50):
        with contextlib.closing(raw.connect(same_workers, pool)) as connection:
            connection.sendall(raw.fastcgi_request())


def test_exchange_pool_runs_only_what_is_its_own(same_workers):
    """A route of the database pool is not found there: it has no handler that could run."""
    for method, path in [("GET", "/"), ("GET", "/health"), ("POST", "/clients"), ("GET", "/clients/1")]:
        body = b"{}" if method == "POST" else b""
        assert b"Status: 404" in fastcgi(same_workers, "exchange", raw.fastcgi_request(method, path, body)), path


# --- random mutations -------------------------------------------------------------------------------


def mutated(rng, data, keep=b""):
    """A few bytes changed, inserted, removed or doubled; none of those in keep comes in."""
    alphabet = [byte for byte in range(256) if byte not in keep]
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        what = rng.randrange(5)
        if what == 0 and at < len(data):
            data[at] = rng.choice(alphabet)
        elif what == 1:
            data[at:at] = bytes(rng.choice(alphabet) for _ in range(rng.randint(1, 8)))
        elif what == 2:
            del data[at:at + rng.randint(1, 8)]
        elif what == 3:
            data[at:at] = data[at:at + rng.randint(1, 40)] * rng.randint(1, 20)
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    return bytes(byte for byte in data if byte not in keep)


def is_ours(answer):
    """JSON, or the small page of the login; never HTML of nginx or of libfcgi."""
    if answer.headers["content-type"] == "application/json":
        body = answer.json()
        return answer.status_code < 400 or body.get("status") or (
            body["success"] is False and body["error"] and body["message"] and body["detail"] and body["request_id"]
        )
    if answer.status_code in (204, 302):
        return not answer.content
    return answer.text.startswith('<!doctype html>\n<html lang="en">') and "nginx" not in answer.text


@pytest.mark.parametrize("seed", range(4))
def test_mutated_requests_are_answered_and_end_no_worker(same_workers, provider, seed):
    """Whatever arrives through nginx gets an answer of the service's making."""
    rng = random.Random(seed)
    service = same_workers
    client = register(service, provider, branch_id="known")
    connect_fast(service, provider, client)
    body = json.dumps(registration(service)).encode()
    requests = [
        (b"GET", b"/tokens/known?min_ttl=60", b""),
        (b"GET", b"/clients?limit=10&after=0&q=known", b""),
        (b"GET", b"/clients/1", b""),
        (b"GET", b"/oauth/login/1?redirected=1", b""),
        (b"GET", b"/auth/callback?state=" + b"A" * 43 + b"&code=abc&iss=https%3A%2F%2Fexample.test", b""),
        (b"POST", b"/clients", body),
        (b"PATCH", b"/clients/1", b'{"workspace_name": "\\u00e9t\\u00e9", "is_active": true}'),
        (b"POST", b"/tokens/refresh", b'{"branch_id": "known"}'),
    ]
    for number in range(150):
        method, target, body = requests[number % len(requests)]
        headers = [
            (b"Content-Type", b"application/json"), (b"Cookie", b"token_service_login=" + b"A" * 43),
            (b"X-Request-Id", b"id-1"), (b"Accept", b"text/html,application/json;q=0.5"),
        ]
        part = rng.randrange(4)
        if part == 0 and body:
            body = mutated(rng, body)
        elif part == 1:
            at = rng.randrange(len(headers))
            headers[at] = (headers[at][0], mutated(rng, headers[at][1], b"\r\n\0"))
        elif part == 2:
            method = mutated(rng, method, b"\r\n\0 ") or b"X"
        else:
            target = b"/" + mutated(rng, target[1:], b"\r\n\0 ")
        request = raw.request(method, target, headers, body)
        answer = raw.send(service, request, "HEAD" if method == b"HEAD" else "GET")
        assert answer is not None and is_ours(answer), (request, answer and answer.content)
        assert "x-request-id" in answer.headers


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("seed", range(3))
def test_mutated_fastcgi_leaves_the_service_whole(service, pool, seed):
    """The same behind nginx, where libfcgi reads the bytes. It aborts on a parameter's length that it cannot allocate;
    only nginx can reach the socket, and the worker is replaced."""
    all_workers(service)
    rng = random.Random(seed)
    requests = [
        raw.fastcgi_request("GET", "/tokens/known?min_ttl=60", HTTP_COOKIE="token_service_login=" + "A" * 43),
        raw.fastcgi_request("GET", "/auth/callback?state=" + "A" * 43 + "&code=x", HTTP_ACCEPT="text/html"),
        raw.fastcgi_request("POST", "/tokens/refresh", b'{"branch_id": "known"}'),
        raw.fastcgi_request("POST", "/clients", json.dumps(registration(service)).encode()),
    ]
    for number in range(150):
        fastcgi(service, pool, mutated(rng, requests[number % len(requests)]))
    all_workers(service)
    assert service.get("/health").status_code == 200
    assert service.post("/tokens/refresh", json={"branch_id": "nobody"}).status_code == 404


def test_browser_login_survives_what_others_send(same_workers, provider):
    """After all that a person still gets through: the flow works beside garbage on the same service."""
    client = register(same_workers, provider)
    with Browser(same_workers) as browser:
        url = browser.consent(browser.login(client))
        for data in (b"\xff" * 100, raw.begin(), b""):
            fastcgi(same_workers, "exchange", data)
        assert raw.send(same_workers, raw.request(b"GET", b"/auth/callback?state=%zz")).status_code == 400
        assert browser.callback(url).status_code == 200
