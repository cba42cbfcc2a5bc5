"""What is stored is sealed for its row, under SECRET_KEY: what does not open is an error of its own, and stays as it is."""

import pytest
from support.flow import Browser, begin, connect_fast, expire, register
from support.hosts import fetch, refused, token_of
from support.processes import wait_until
from support.sealing import KEY, SEALS, Seals

NEW_KEY = "another-secret-key-of-the-integration-tests"
ROW = "access_token, refresh_token, is_valid, is_revoked, grant_version, expires_at"


def connected(service, provider, expires_in=3000):
    client = register(service, provider)
    return client, connect_fast(service, provider, client, expires_in=expires_in)


def stored(service, client, columns=ROW):
    return service.database.one(f"SELECT {columns} FROM tokens WHERE client_id = %s", (client["client_id"],))


def put(service, client, column, value):
    assert service.database.execute(
        f"UPDATE tokens SET {column} = %s WHERE client_id = %s", (value, client["client_id"])) == 1


def flipped(text):
    """One bit of the ciphertext is another."""
    other = "B" if text[40] != "B" else "C"
    return text[:40] + other + text[41:]


def cut_short(text):
    """By a few bytes; whole base64 all the same."""
    body = text[12:]
    return text[:12] + body[: (len(body) // 4 - 1) * 4]


DAMAGES = {
    "flipped": (flipped, 500, "sealed_value_damaged"),
    "cut-short": (cut_short, 500, "sealed_value_damaged"),
    "nearly-nothing-left": (lambda text: text[:20], 500, "sealed_value_malformed"),
    "plain": (lambda text: "ya29.plain", 500, "sealed_value_malformed"),
    "yesterdays-key": (lambda text: text[:3] + "00000000" + text[11:], 503, "secret_key_unknown"),
}


@pytest.mark.parametrize("damage, status, code", DAMAGES.values(), ids=list(DAMAGES))
@pytest.mark.parametrize("column, life", [("access_token", 3000), ("refresh_token", -10)], ids=["access", "refresh"])
def test_value_that_does_not_open_is_an_error_and_stays(service, provider, column, life, damage, status, code):
    """The error says what is wrong with it, nobody asks the provider, nothing of the row is lost; with the right value
    back everything works."""
    client, grant = connected(service, provider, life)
    good = stored(service, client, column)[0]
    put(service, client, column, damage(good))
    before = stored(service, client)
    refused(fetch(service, client), status, code)
    assert stored(service, client) == before
    assert provider.refreshes() == []
    put(service, client, column, good)
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL, refresh_error = NULL")
    assert provider.works(token_of(fetch(service, client)))


@pytest.mark.parametrize("column, life", [("access_token", 3000), ("refresh_token", -10)], ids=["access", "refresh"])
def test_value_of_another_row_does_not_open(service, provider, column, life):
    """Whoever can write to the database cannot give one branch the grant of another."""
    client, _ = connected(service, provider, life)
    other, _ = connected(service, provider, life)
    put(service, client, column, stored(service, other, column)[0])
    before = stored(service, client)
    refused(fetch(service, client), 500, "sealed_value_damaged")
    assert stored(service, client) == before and provider.refreshes() == []


def test_access_token_that_still_opens_is_answered_while_the_refresh_token_does_not(service, provider):
    """Inside the buffer, as with any other refresh that fails."""
    client, grant = connected(service, provider, 120)
    put(service, client, "refresh_token", flipped(stored(service, client, "refresh_token")[0]))
    answer = fetch(service, client)
    assert token_of(answer) == grant["access_token"] and answer.json()["stale"] is True
    assert fetch(service, client).json()["refresh_error"] == "sealed_value_damaged"
    assert provider.refreshes() == []


def test_host_with_another_key_serves_nothing_and_harms_nothing(make_service, provider):
    """It says which setting is wrong; the other host goes on, and so does this one with the right key back."""
    good, wrong = make_service(), make_service({"SECRET_KEY": NEW_KEY})
    client, grant = connected(good, provider)
    before = stored(good, client)
    for answer in (fetch(wrong, client), wrong.get("/clients"), wrong.post("/tokens/refresh", json={"client_id": client["client_id"]})):
        body = refused(answer, 503, "secret_key_unknown")
        assert "SECRET_KEY" in body["message"]
    assert token_of(fetch(good, client)) == grant["access_token"]
    assert stored(good, client) == before and provider.refreshes() == []
    wrong.reload({"SECRET_KEY": None, "SECRET_KEY_PREVIOUS": None})
    refused(fetch(wrong, client), 503, "secret_key_unknown")
    wrong.reload({"SECRET_KEY": NEW_KEY, "SECRET_KEY_PREVIOUS": KEY})
    wait_until(lambda: fetch(wrong, client).status_code == 200, 30, "the key is there")
    assert token_of(fetch(wrong, client)) == grant["access_token"]


def test_new_key_seals_and_the_previous_one_opens(make_service, provider):
    """Two hosts in the middle of a change of keys: what either stores the other opens."""
    old = make_service({"SECRET_KEY_PREVIOUS": NEW_KEY})
    new = make_service({"SECRET_KEY": NEW_KEY, "SECRET_KEY_PREVIOUS": KEY})
    client, grant = connected(old, provider)
    assert token_of(fetch(new, client)) == grant["access_token"]
    expire(new, client)
    token = token_of(fetch(new, client))
    sealed = stored(new, client, "access_token")[0]
    assert Seals(NEW_KEY).open("tokens", "access_token", client["client_id"], sealed) == token
    assert token_of(fetch(old, client)) == token
    expire(old, client)
    token = token_of(fetch(old, client))
    assert SEALS.open("tokens", "access_token", client["client_id"], stored(old, client, "access_token")[0]) == token
    assert token_of(fetch(new, client)) == token


def test_whole_flow_stores_no_secret_in_plain_text(service, provider):
    """Neither the client's secret, nor tokens, nor the verifier of a login under way, nor what is queued to be revoked."""
    client = register(service, provider)
    secret = service.database.one("SELECT client_secret FROM clients")[0]
    secrets = {SEALS.open("clients", "client_secret", client["branch_identifier"], secret)}
    with Browser(service) as browser:
        callback = begin(browser, client)
        secrets |= set(SEALS.verifiers(service.database))
        in_login = service.database.all("SELECT oauth_states::text FROM oauth_states")
        assert browser.callback(callback).status_code == 200
    expire(service, client)
    secrets |= {token_of(fetch(service, client))}
    for call in provider.log():
        secrets |= {call["access_token"], call["new_refresh_token"]} - {None}
    in_tokens = service.database.all("SELECT tokens::text FROM tokens")
    provider.fault("drop", endpoint="revocation", times=None)
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200
    rows = service.database.all(
        "SELECT clients::text FROM clients UNION ALL SELECT tokens::text FROM tokens"
        " UNION ALL SELECT revocations::text FROM revocations UNION ALL SELECT audit_log::text FROM audit_log")
    text = str(in_login + in_tokens + rows)
    assert len(secrets) >= 4 and all(len(each) > 10 for each in secrets)
    assert not [each for each in secrets if each in text]
