"""The clients of tests/examples, as README.md shows them, against a running service."""

import json
import re
import shlex
import subprocess

import pytest

from support import keys, processes
from support.flow import connect_fast, expire, register, unique
from support.keys import REQUIRED
from support.processes import ROOT

EXAMPLES = ROOT / "tests/examples"
NAMES = ["fetch_token.sh", "fetch_token_jq.sh", "fetch_token.py", "fetch_token.c"]
NOT_CONNECTED = {"fetch_token.sh": 22}  # curl's own, for every error; 3 for the others


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """fetch_token.c, compiled as its first lines say, without a warning."""
    path = tmp_path_factory.mktemp("example") / "fetch_token"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libcurl", "json-c"], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-O2", "-o", path, EXAMPLES / "fetch_token.c", *shlex.split(flags)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(params=NAMES)
def fetch(request, program):
    """fetch(service, branch, key=None): the finished process; fetch.name."""
    commands = {"fetch_token.c": [program], "fetch_token.py": ["/usr/bin/python3", EXAMPLES / "fetch_token.py"]}

    def run(service, branch, key=None):
        env = {"TOKEN_SERVICE_URL": service.url, **({"TOKEN_SERVICE_KEY": key} if key else {})}
        return subprocess.run([*commands.get(request.param, [EXAMPLES / request.param]), branch],
                              env=processes.plain_environment(**env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=processes.seconds(120))

    run.name = request.param
    return run


def token(done):
    """What it printed: the token, or (curl alone) the answer that has it."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["access_token"] if done.stdout.startswith("{") else done.stdout.rstrip("\n")


def said(done):
    """Everything that a person is told."""
    return done.stdout + done.stderr


def connected(service, provider, **grant):
    client = register(service, provider)
    return client, connect_fast(service, provider, client, **grant)["access_token"]


def test_example_prints_a_token_that_works(service, provider, fetch):
    """The stored one; and for an expired one, the one that the service then obtains."""
    client, stored = connected(service, provider)
    assert token(fetch(service, client["branch_identifier"])) == stored
    expire(service, client)
    fresh = token(fetch(service, client["branch_identifier"]))
    assert fresh != stored and provider.works(fresh)


def test_example_takes_a_branch_of_any_name(service, provider, fetch):
    """Blanks, what has a meaning in a URL, and letters of any language."""
    client = register(service, provider, branch_id=f"{unique('Süd')} a?b#c%d&e+f")
    stored = connect_fast(service, provider, client)["access_token"]
    assert token(fetch(service, client["branch_identifier"])) == stored


def test_example_waits_as_it_is_told(service, provider, fetch):
    """503 with Retry-After: it asks again, and gets its token."""
    client, stored = connected(service, provider, expires_in=-10)
    provider.fault("status", status=503)
    assert token(fetch(service, client["branch_identifier"])) != stored
    assert len(provider.refreshes(client_id=client["client_oauth_id"])) == 2


@pytest.mark.parametrize("case", ["never connected", "grant is dead"])
def test_example_says_who_has_to_act(service, provider, fetch, case):
    """404 authorization_required, 409 reauthorization_required: not asked again, and the link is there."""
    client, error = register(service, provider), "authorization_required"
    if case == "grant is dead":
        connect_fast(service, provider, client, expires_in=-10)
        provider.revoke(client_id=client["client_oauth_id"])
        error = "reauthorization_required"
    done = fetch(service, client["branch_identifier"])
    assert done.returncode == NOT_CONNECTED.get(fetch.name, 3), said(done)
    assert f"/oauth/login/{client['client_id']}" in said(done)
    assert error in said(done)
    assert len(provider.refreshes()) <= 1


def test_example_fails_for_an_unknown_branch(service, fetch):
    """Whatever its name is: it is one segment of the path."""
    for branch in (unique("nobody"), "a b?c#d%e"):
        done = fetch(service, branch)
        assert done.returncode in (1, 22) and "branch_not_found" in said(done)


def test_example_brings_its_key(make_service, provider, database, fetch):
    """With it the token; without it, or with a wrong one, a failure that says so. The key is in no argument."""
    service = make_service(REQUIRED)
    admin, fetcher = keys.create(database, "admin"), keys.create(database, "fetcher")
    with keys.acting(service, admin):
        client, stored = connected(service, provider)
    assert token(fetch(service, client["branch_identifier"], fetcher)) == stored
    for wrong in (None, "tsk_wrong"):
        done = fetch(service, client["branch_identifier"], wrong)
        assert done.returncode in (1, 22) and "unauthenticated" in said(done)


def original(service, branch):
    """token-service:8002 is this service: its nginx takes a proxy's requests for what they are."""
    return subprocess.run(
        ["/usr/bin/python3", EXAMPLES / "fetch_token_original.py", branch],
        env={**processes.plain_environment(http_proxy=service.url), "no_proxy": ""}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=processes.seconds(60))


def test_function_of_the_original_works_unchanged(service, provider):
    """Its token, fresh or expired; and for what is wrong, its exception with the message of the service."""
    client, stored = connected(service, provider)
    assert token(original(service, client["branch_identifier"])) == stored
    expire(service, client)
    assert provider.works(token(original(service, client["branch_identifier"])))
    alone = register(service, provider)
    for branch, words in (("nobody", "branch"), (alone["branch_identifier"], "connect")):
        done = original(service, branch)
        assert done.returncode == 1 and re.search(f"Exception: Failed to get token: .*{words}", done.stderr, re.I), done.stderr


def test_readme_names_every_example():
    text = (ROOT / "README.md").read_text()
    names = sorted(path.name for path in EXAMPLES.iterdir() if path.is_file())
    assert [name for name in names if f"tests/examples/{name}" not in text] == []
