"""Good requests, changed at random: whatever arrives is answered, and the service stays whole."""

import json
import random

import pytest

from support import raw
from support.answers import all_workers
from support.flow import Browser, connect_fast, register, registration
from support.raw import POOLS, fastcgi


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
