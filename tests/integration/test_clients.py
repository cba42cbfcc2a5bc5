"""Clients: register, show, page, search, change, delete; and that no secret comes out."""

import re

import pytest

from support.flow import connect_fast, expire, refused, register, registration, rows, unique
from support.sealing import SEALS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def show(service, client):
    response = service.get(f"/clients/{client['client_id']}")
    assert response.status_code == 200, response.text
    return response.json()


def change(service, client, **fields):
    return service.patch(f"/clients/{client['client_id']}", json=fields)


def page(service, **params):
    response = service.get("/clients", params=params)
    assert response.status_code == 200, response.text
    return response.json()


def branches(body):
    return [client["branch_identifier"] for client in body["clients"]]


def faults(response):
    """{field: message} of a validation_failed."""
    detail = refused(response, 422, "validation_failed")["detail"]
    assert all(set(fault) == {"field", "message"} for fault in detail)
    return {fault["field"]: fault["message"] for fault in detail}


# --- one client -----------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_show_a_client(service):
    """GET /clients/{id} has the registration's fields, the state of its token, and no secret."""
    client = register(service)
    body = show(service, client)
    assert TIME.fullmatch(body["updated_at"])
    del client["message"]
    assert body == {**client, "is_active": True, "updated_at": body["updated_at"], "token": {"state": "none"}}


def test_unknown_client(service):
    """Every call with an id that nobody has, or that cannot be one, is client_not_found."""
    for number in ("4711", "0", "-1", "x", "9223372036854775808", "1.0", "%31%30", "1e3"):
        refused(service.get(f"/clients/{number}"), 404, "client_not_found")
        refused(service.patch(f"/clients/{number}", json={"is_active": True}), 404, "client_not_found")
        refused(service.delete(f"/clients/{number}"), 404, "client_not_found")


@pytest.mark.parametrize(
    ("sql", "state"),
    [
        ("expires_at = now() + interval '1 hour'", "valid"),
        ("expires_at = now() + interval '299 seconds'", "expiring"),
        ("expires_at = now() - interval '1 second'", "expired"),
        ("is_valid = false", "reauthorization_required"),
        ("is_revoked = true", "revoked"),
        ("is_revoked = true, is_valid = false, expires_at = now()", "revoked"),
    ],
)
def test_token_state(service, provider, sql, state):
    """Each state of a token is shown, by the one client and in the page, with its expiry."""
    client = register(service, provider)
    connect_fast(service, provider, client)
    service.database.execute(f"UPDATE tokens SET {sql}")
    (listed,) = page(service)["clients"]
    shown = show(service, client)
    assert shown["token"] == listed["token"]
    assert shown["token"]["state"] == state
    assert TIME.fullmatch(shown["token"]["expires_at"])
    # The filter is SQL, what is shown is not: they agree.
    never = register(service)
    assert branches(page(service, state=state)) == [client["branch_identifier"]]
    assert branches(page(service, state="none")) == [never["branch_identifier"]]
    for other in {"valid", "expiring", "expired", "reauthorization_required", "revoked"} - {state}:
        assert branches(page(service, state=other)) == []


def test_state_is_filtered_with_search_and_cursor(service):
    """state, q and after hold together; a state that there is not is a fault that names those there are."""
    clients = [register(service, workspace_name=name) for name in ("one", "two", "one", "one")]
    assert branches(page(service, state="none", q="one", after=clients[0]["client_id"])) == [
        client["branch_identifier"] for client in clients[2:]
    ]
    assert len(page(service, state="")["clients"]) == 4
    told = faults(service.get("/clients", params={"state": "good", "limit": "0"}))
    assert set(told) == {"state", "limit"} and "reauthorization_required" in told["state"]


def test_token_state_tells_of_refreshes(service, provider):
    """last_refreshed_at after a good refresh, refresh_error after a failed one."""
    client = register(service, provider)
    connect_fast(service, provider, client, expires_in=-10)
    provider.fault("status", status=503, body="")
    service.get(f"/tokens/{client['branch_identifier']}")
    token = show(service, client)["token"]
    assert (token["state"], token["refresh_error"]) == ("expired", "provider_unavailable")
    assert TIME.fullmatch(token["retry_at"]) and token["retry_at"] > token["expires_at"]
    expire(service, client)
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    service.get(f"/tokens/{client['branch_identifier']}")
    token = show(service, client)["token"]
    assert token["state"] == "valid" and not {"refresh_error", "provider_error", "retry_at"} & set(token)
    assert TIME.fullmatch(token["last_refreshed_at"])


def test_no_answer_has_a_secret(service, provider):
    """Neither the client's secret nor a token is in any answer about clients."""
    oauth_id, secret = provider.client()
    fields = registration(service, client_id=oauth_id, client_secret=secret)
    answers = [service.post("/clients", json=fields)]
    client = answers[0].json()
    grant = connect_fast(service, provider, client)
    answers += [
        service.post("/clients", json=fields),
        service.get("/clients"),
        service.get("/clients", params={"q": oauth_id}),
        service.get(f"/clients/{client['client_id']}"),
        change(service, client, client_secret=f"{secret}-new"),
        change(service, client, client_secret=f"{secret}-bad", workspace_email="x"),
        service.get("/clients", params={"q": secret}),
    ]
    assert [answer.status_code for answer in answers] == [201, 409, 200, 200, 200, 200, 422, 200]
    for answer in answers:
        for hidden in (secret, grant["access_token"], grant["refresh_token"]):
            assert hidden not in answer.text
    assert page(service, q=secret)["clients"] == []


def test_branch_registers_once(service):
    """409 for a second one; what is there does not change."""
    client = register(service)
    again = registration(service, branch_id=client["branch_identifier"], workspace_name="Another")
    refused(service.post("/clients", json=again), 409, "branch_exists")
    assert show(service, client)["workspace_name"] == client["workspace_name"]
    assert rows(service, "clients") == 1


def test_one_oauth_client_serves_many_branches(service):
    """The Google client id is not unique."""
    numbers = {register(service, client_id="shared")["client_id"] for _ in range(3)}
    assert len(numbers) == 3


def test_registrations_of_one_branch_at_once(service):
    """One wins, the others get 409, never 500."""
    body = registration(service)
    calls = [service.start("POST", "/clients", json=body) for _ in range(10)]
    assert sorted(call.result(60).status_code for call in calls) == [201] + [409] * 9


# --- validation -----------------------------------------------------------------------------------

LENGTHS = {
    "client_id": (1, 255), "client_secret": (1, 512), "branch_id": (1, 255), "workspace_name": (0, 255),
}
PLANE_1 = "\U0001f600"  # four bytes, and two units of UTF-16


@pytest.mark.parametrize("character", ["a", "ä", "日", PLANE_1])
@pytest.mark.parametrize("field", LENGTHS)
def test_lengths_are_counted_in_characters(service, field, character):
    """The longest value is taken whatever its characters cost in bytes; one more is refused."""
    low, high = LENGTHS[field]
    response = service.post("/clients", json=registration(service, **{field: character * high}))
    assert response.status_code == 201, response.text
    assert list(faults(service.post("/clients", json=registration(service, **{field: character * (high + 1)})))) == [
        field
    ]
    response = service.post("/clients", json=registration(service, **{field: character * (low - 1)} if low else {}))
    assert response.status_code == (422 if low else 201)


def test_long_addresses_and_urls(service):
    """255 characters of an address, 512 of a redirect URI, not one more."""
    for field, good in (
        ("workspace_email", "ö" * 242 + "@example.test"),
        ("redirect_uri", "https://example.test/" + "a" * 477 + "/auth/callback"),
    ):
        assert len(good) == {"workspace_email": 255, "redirect_uri": 512}[field]
        response = service.post("/clients", json=registration(service, **{field: good}))
        assert response.status_code == 201, response.text
        bad = good.replace("example", "examplee")
        assert list(faults(service.post("/clients", json=registration(service, **{field: bad})))) == [field]


def test_unicode_comes_back_as_it_was(service):
    """Names and branches in any script, combining marks and all, unchanged."""
    text = f"Café 東京 {PLANE_1} e\u0301 \u202e \"quoted\" \\ <b>"
    client = register(service, branch_id=text, workspace_name=text)
    assert (client["branch_identifier"], client["workspace_name"]) == (text, text)
    assert show(service, client)["workspace_name"] == text
    assert service.database.one("SELECT branch_id FROM clients") == (text,)


def test_all_faults_are_told_at_once(service):
    """Not the first one only; in a registration every missing field is one."""
    required = {"client_id", "client_secret", "redirect_uri", "branch_id", "workspace_email"}
    assert set(faults(service.post("/clients", json={}))) == required
    bad = {field: 7 for field in required | {"workspace_name"}}
    assert set(faults(service.post("/clients", json=bad))) == set(bad)
    assert rows(service, "clients") == 0


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("branch_id", ["", "a/b", ".", "..", "a\nb", "a\x7fb", "a\u0085b", "a\0b", None, [], {}, True, 1.5]),
        ("workspace_email", ["", "x", "@example.test", "x@", "a@b@c", "a b@c.d", "<a@b.c>", "a@b\n.c", "a@.b", "a@b."]),
        ("client_secret", ["", None, "a\0b", 1]),
        (
            "redirect_uri",
            ["", "x", "/auth/callback", "ftp://example.test/", "https://", "https:///x", "https://?x", "https://a/b#c",
             "https://a b/", "javascript:alert(1)", "https://user:pw@example.test/", "https://example.test/\r\nX: y",
             "http:example.test"],
        ),
        ("workspace_name", [1, [], "a" * 256, "a\0b"]),
    ],
)
def test_wrong_fields(service, field, values):
    """Each is refused by registration and change alike, with the field's name, and nothing is stored."""
    client = register(service)
    before = show(service, client)
    for value in values:
        response = service.post("/clients", json=registration(service, **{field: value}))
        assert list(faults(response)) == [field], repr(value)
        if field != "branch_id":
            assert list(faults(change(service, client, **{field: value}))) == [field], repr(value)
    assert rows(service, "clients") == 1
    assert show(service, client) == before


def test_unknown_fields_are_ignored(service):
    """Callers may send more than is known here; id and is_active among it change nothing."""
    client = register(service, id=77, colour="green", is_active=False)
    assert client["client_id"] != 77
    assert show(service, client)["is_active"] is True


def test_redirect_uri_in_production(make_service):
    """https is needed in production, http is for loopback only."""
    service = make_service(env={"ENVIRONMENT": "production", "API_AUTH": "off", "API_AUTH_OFF_IN_PRODUCTION": "accept"})
    for good in ("https://example.test/a", "http://localhost/a", "http://127.0.0.1:1/a", "http://[::1]:1/a"):
        assert service.post("/clients", json=registration(service, redirect_uri=good)).status_code == 201, good
    for bad in ("http://example.test/a", "http://localhost.example.test/a", "http://127.0.0.2/a"):
        response = service.post("/clients", json=registration(service, redirect_uri=bad))
        assert list(faults(response)) == ["redirect_uri"], bad


# --- change ---------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_change_a_client(service):
    """PATCH changes what it names and nothing else; the answer is what GET shows; login_url follows."""
    client = register(service)
    before = show(service, client)
    secret = service.database.one("SELECT client_secret FROM clients")
    fields = {
        "workspace_email": "new@example.test",
        "workspace_name": "Neuer Name",
        "redirect_uri": "https://new.example.test/x/auth/callback",
        "is_active": False,
    }
    response = change(service, client, **fields)
    assert response.status_code == 200
    body = response.json()
    assert body == show(service, client)
    assert body == {
        **before,
        "email": "new@example.test",
        "workspace_name": "Neuer Name",
        "redirect_uri": "https://new.example.test/x/auth/callback",
        "login_url": f"https://new.example.test/x/oauth/login/{client['client_id']}",
        "is_active": False,
        "updated_at": body["updated_at"],
    }
    assert body["updated_at"] > before["updated_at"]
    assert service.database.one("SELECT client_secret FROM clients") == secret
    assert change(service, client, client_secret="new secret").json() == show(service, client)
    assert service.database.one("SELECT client_secret FROM clients") != secret
    (sealed,) = service.database.one("SELECT client_secret FROM clients")
    assert SEALS.open("clients", "client_secret", client["branch_identifier"], sealed) == "new secret"


def test_empty_change(service):
    """{} changes nothing and is no error."""
    client = register(service)
    before = show(service, client)
    body = change(service, client).json()
    assert {**body, "updated_at": None} == {**before, "updated_at": None}


def test_workspace_name_can_be_taken_away(service):
    """null clears it; no other field takes null."""
    client = register(service)
    assert change(service, client, workspace_name=None).json()["workspace_name"] is None
    others = {"client_secret": None, "redirect_uri": None, "workspace_email": None, "is_active": None}
    assert set(faults(change(service, client, **others))) == set(others)


def test_identity_cannot_be_changed(service):
    """branch_id and client_id belong to the grant: another registration is another client."""
    client = register(service)
    before = show(service, client)
    response = change(service, client, branch_id="other", client_id="other", workspace_name="x")
    assert set(faults(response)) == {"branch_id", "client_id"}
    assert show(service, client) == before


@pytest.mark.parametrize("value", [0, 1, "true", "", [], {}])
def test_is_active_is_true_or_false(service, value):
    """Nothing that merely looks like it."""
    assert list(faults(change(service, register(service), is_active=value))) == ["is_active"]


def test_change_keeps_the_grant(service, provider):
    """A new name or address does not cost the token."""
    client = register(service, provider)
    grant = connect_fast(service, provider, client)
    assert change(service, client, workspace_name="x", workspace_email="y@example.test").status_code == 200
    assert service.get(f"/tokens/{client['branch_identifier']}").json()["access_token"] == grant["access_token"]


# --- delete ---------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_delete_takes_everything_of_the_client(service, provider):
    """204 without a body; its token and its logins go with it, those of others stay; the branch is free again."""
    client, other = register(service, provider), register(service, provider)
    for each in (client, other):
        connect_fast(service, provider, each)
        service.get(f"/oauth/login/{each['client_id']}")
    response = service.delete(f"/clients/{client['client_id']}")
    assert (response.status_code, response.content) == (204, b"")
    refused(service.get(f"/clients/{client['client_id']}"), 404, "client_not_found")
    refused(service.delete(f"/clients/{client['client_id']}"), 404, "client_not_found")
    refused(service.get(f"/tokens/{client['branch_identifier']}"), 404, "branch_not_found")
    for table in ("tokens", "oauth_states"):
        assert service.database.all(f"SELECT client_id FROM {table}") == [(other["client_id"],)]
    assert service.get(f"/tokens/{other['branch_identifier']}").status_code == 200
    again = register(service, branch_id=client["branch_identifier"])
    assert again["client_id"] != client["client_id"]
    refused(service.get(f"/tokens/{client['branch_identifier']}"), 404, "authorization_required")


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.memcheck
def test_pages(service):
    """Every client once, in the order of registration; next is null on the last page and only there."""
    names = [register(service)["branch_identifier"] for _ in range(7)]
    seen, after, sizes = [], None, []
    while True:
        body = page(service, limit=3, **({"after": after} if after else {}))
        assert set(body) == {"success", "clients", "next"}
        seen += branches(body)
        sizes.append(len(body["clients"]))
        after = body["next"]
        if after is None:
            break
    assert (seen, sizes) == (names, [3, 3, 1])


def test_last_page_that_is_full(service):
    """Exactly limit clients left: no empty page follows."""
    for _ in range(4):
        register(service)
    body = page(service, limit=2)
    assert page(service, limit=2, after=body["next"])["next"] is None


def test_page_of_nothing(service):
    """No clients: an empty list."""
    assert page(service) == {"success": True, "clients": [], "next": None}


def test_search_of_a_rare_one_comes_in_pieces(service):
    """Each page looks at 20,000 clients at most, so that none keeps the callers of tokens waiting; none is left out."""
    first = register(service)["client_id"]
    service.database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " SELECT 'id', 'secret', 'http://localhost/auth/callback', 'many-' || n, 'owner@example.test' FROM generate_series(1, 45000) n")
    rare = [register(service)["branch_identifier"] for _ in range(3)]
    for search in ({"q": rare[0]}, {"q": rare[0], "state": "none"}):
        found, nexts = [], [0]
        while nexts[-1] is not None:
            body = page(service, after=nexts[-1], **search)
            found += branches(body)
            nexts.append(body["next"])
        assert (found, nexts) == ([rare[0]], [0, first + 19999, first + 39999, None])
    everything = page(service, state="none", limit=2)
    assert (len(everything["clients"]), everything["next"]) == (2, everything["clients"][-1]["client_id"])
    assert page(service, limit=1000, after=first + 44999)["next"] is None


def test_clients_come_and_go_between_pages(service):
    """A deletion on an earlier page shifts nothing on the next one."""
    clients = [register(service) for _ in range(4)]
    body = page(service, limit=2)
    service.delete(f"/clients/{clients[0]['client_id']}")
    service.delete(f"/clients/{body['next']}")
    rest = page(service, limit=2, after=body["next"])
    assert branches(rest) == [client["branch_identifier"] for client in clients[2:]]


def test_default_limit(service):
    """Without limit a page has as many as there are, up to the default; the largest limit is taken too."""
    service.database.execute(
        "INSERT INTO clients (client_id, client_secret, redirect_uri, branch_id, workspace_email)"
        " SELECT 'c', 's', 'https://example.test/auth/callback', 'b' || n, 'a@example.test'"
        " FROM generate_series(1, 1001) n"
    )
    default = page(service)
    assert 1 <= len(default["clients"]) < 1000
    assert default["next"] == default["clients"][-1]["client_id"]
    largest = page(service, limit=1000)
    assert (len(largest["clients"]), largest["next"] is None) == (1000, False)
    assert len(page(service, limit=1000, after=largest["next"])["clients"]) == 1


@pytest.mark.parametrize(
    ("params", "fields"),
    [
        ({"limit": "0"}, ["limit"]), ({"limit": "1001"}, ["limit"]), ({"limit": "x"}, ["limit"]),
        ({"limit": ""}, ["limit"]), ({"after": "-1"}, ["after"]), ({"after": "1.5"}, ["after"]),
        ({"after": "9223372036854775808"}, ["after"]), ({"q": "a" * 257}, ["q"]),
        ({"limit": "0", "after": "x", "q": "a" * 257}, ["limit", "after", "q"]),
    ],
)
def test_bad_page_parameters(service, params, fields):
    """422 with every wrong parameter's name."""
    assert list(faults(service.get("/clients", params=params))) == fields


@pytest.fixture
def searched(service):
    """Clients whose branches hold what LIKE and SQL would take for something else."""
    for branch in ("shop_1", "shopX1", "100% wool", "1000 wool", "back\\slash", "O'Hara", "Ärger & Söhne", "a%b_c\\d"):
        register(service, branch_id=branch, client_id="app", workspace_name=None)
    return service


@pytest.mark.memcheck
@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("shop_1", ["shop_1"]),
        ("_", ["shop_1", "a%b_c\\d"]),
        ("%", ["100% wool", "a%b_c\\d"]),
        ("100%", ["100% wool"]),
        ("\\", ["back\\slash", "a%b_c\\d"]),
        ("%b_c\\", ["a%b_c\\d"]),
        ("'", ["O'Hara"]),
        ("' OR '1'='1", []),
        ("SHOP", ["shop_1", "shopX1"]),
        ("ärger", ["Ärger & Söhne"]),
        ("& s", ["Ärger & Söhne"]),
        ("nothing like it", []),
    ],
)
def test_search_is_literal(searched, q, found):
    """q is looked for as it stands, case aside; %, _ and \\ mean themselves."""
    assert branches(page(searched, q=q)) == found


def test_search_looks_at_each_field(service):
    """Branch, e-mail address, workspace name and OAuth client id; an empty q is none."""
    word = unique("needle")
    names = [
        register(service, **fields)["branch_identifier"]
        for fields in (
            {"branch_id": f"b-{word}"}, {"workspace_email": f"{word}@example.test"},
            {"workspace_name": f"The {word} shop"}, {"client_id": f"{word}.apps"},
        )
    ]
    register(service)
    assert branches(page(service, q=word)) == names
    assert branches(page(service, q=word, limit=3)) == names[:3]
    assert page(service, q=word, limit=4)["next"] is None
    assert len(page(service, q="")["clients"]) == 5


def test_longest_search(service):
    """256 bytes of q, all of them to be escaped."""
    branch = "%" * 255
    register(service, branch_id=branch)
    assert branches(page(service, q=branch)) == [branch]
    assert page(service, q="_" * 256)["clients"] == []
