"""The release before beside this one, on one database with this one's migrations: what a rolling upgrade goes through.

Only where TOKEN_SERVICE_PREVIOUS names that release's sources, built: scripts/test --stage upgrade.
"""

import os
from pathlib import Path

import httpx
import pytest
from support.flow import Browser, begin, connected, expire, path_of, register
from support.hosts import fetch, make_due, refused, results, start_herd, token_of
from support.processes import wait_until

PREVIOUS = Path(os.environ["TOKEN_SERVICE_PREVIOUS"])


@pytest.fixture
def hosts(make_service):
    """make(**env): a host of the release before, and one of this."""
    return lambda **env: (make_service(env=env, tree=PREVIOUS), make_service(env=env))


def test_both_releases_are_what_they_are_taken_for(hosts):
    before, now = hosts()
    assert str(before.program).startswith(str(PREVIOUS)) and not str(now.program).startswith(str(PREVIOUS))


def test_one_refresh_for_all_callers_of_both_releases(hosts, provider):
    """Neither of them refreshes a grant that the other one is refreshing."""
    both = hosts(REFRESHERS="1")
    client = connected(both[0], provider)
    provider.fault("delay", ms=200)
    for done in range(1, 6):
        expire(both[0], client)
        tokens = {token_of(answer) for answer in results(start_herd(both, client, 40))}
        assert len(tokens) == 1 and len(provider.refreshes()) == done


def test_refreshers_of_both_releases_share_the_work(hosts, provider):
    before, now = hosts(REFRESHERS="2")
    clients = [connected(before, provider) for _ in range(40)]
    for client in clients:
        make_due(before, client)
    wait_until(lambda: before.database.one("SELECT min(refresh_due_at) > now() FROM tokens")[0], what="all are refreshed")
    assert len(provider.refreshes()) == 40
    for client in clients:
        assert provider.works(token_of(fetch(before, client))) and token_of(fetch(now, client)) == token_of(fetch(before, client))


@pytest.mark.parametrize("first", [0, 1], ids=["from the old to the new", "from the new to the old"])
def test_consent_begins_at_one_release_and_ends_at_the_other(hosts, provider, first):
    both = hosts()
    one, other = both[first], both[1 - first]
    client = register(one, provider)
    with Browser(one) as browser:
        callback = httpx.URL(begin(browser, client)).copy_with(port=httpx.URL(other.url).port)
        assert browser.callback(callback).status_code == 200
    for host in both:
        assert provider.works(token_of(fetch(host, client)))


@pytest.mark.parametrize("first", [0, 1], ids=["by the old", "by the new"])
def test_what_one_release_ends_has_ended_for_the_other(hosts, provider, first):
    both = hosts()
    revoked, deleted = connected(both[0], provider), connected(both[0], provider)
    assert both[first].post(f"{path_of(revoked)}/revoke").status_code == 200
    assert both[first].delete(f"/clients/{deleted['client_id']}").status_code == 204
    for host in both:
        refused(fetch(host, revoked), 409, "reauthorization_required")
        assert fetch(host, deleted).status_code == 404


def test_release_before_starts_on_the_new_schema(hosts):
    """Its own check of the schema does not keep it down: an upgrade can be taken back on one host."""
    before, _ = hosts()
    before.terminate()
    assert before.wait_exit() == 0
    before.start_master()
    wait_until(lambda: before.get("/health").status_code == 200, what="it serves")
