"""A body may be anything: it is read as the contract says, and no body ends a worker."""

import itertools
import json

import pytest

from support.answers import JSON, answer_of, faults_of
from support.flow import register, registration

FIELDS = ["client_id", "client_secret", "redirect_uri", "branch_id", "workspace_email", "workspace_name"]
NO_BRANCH = (404, "branch_not_found")


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
