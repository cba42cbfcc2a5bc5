"""Past nginx, at the FastCGI sockets, may come anything: no bytes end a worker."""

import contextlib
import random
import struct

import pytest

from support import raw
from support.raw import POOLS, fastcgi


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
        request = raw.fastcgi_request(method, path, body)
        assert b"Status: 404" in fastcgi(same_workers, "exchange", request, stays=True), path
