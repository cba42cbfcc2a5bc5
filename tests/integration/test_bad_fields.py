"""A field may hold anything: what is against the contract is refused by name, and no value ends a worker."""

import itertools
from urllib.parse import quote

import pytest

from support.answers import WIDE, answer_of, faults_of
from support.flow import connect_fast, expire, register, registration

FIELDS = ["client_id", "client_secret", "redirect_uri", "branch_id", "workspace_email", "workspace_name"]
REQUIRED = FIELDS[:-1]
PATCHABLE = ["client_secret", "redirect_uri", "workspace_email", "workspace_name"]


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
