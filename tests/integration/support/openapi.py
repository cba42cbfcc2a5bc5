"""Every answer that the tests see is held against nginx/static/openapi.json: its status, headers and body."""

import json
import re
from urllib.parse import urlsplit

import jsonschema

from .processes import ROOT

DOCUMENT = json.loads((ROOT / "nginx/static/openapi.json").read_text(encoding="utf-8"))
# What shows the document is not in it.
PAGES = re.compile(r"(?:/tokens-api)?/(?:docs|redoc|console|openapi\.json|static/.*)")
METHODS = ("get", "post", "put", "patch", "delete")
_resolver = jsonschema.RefResolver("", DOCUMENT)


def resolved(part):
    """The part of the document that a $ref names; the part itself when it has none."""
    while "$ref" in part:
        part = _resolver.resolve(part["$ref"])[1]
    return part


def _validator(schema):
    return jsonschema.Draft202012Validator(schema, resolver=_resolver)


def _patterns():
    """[(pattern of the raw path, its item)]; those without parameters first, as OpenAPI wants it."""
    found = []
    for path in sorted(DOCUMENT["paths"], key=lambda path: path.count("{")):
        parts = re.split(r"\{[^}]*\}", path)
        found.append((re.compile("[^/]+".join(map(re.escape, parts))), DOCUMENT["paths"][path]))
    return found


_PATTERNS = _patterns()


def operation_of(method, path):
    """None: the document has no such call."""
    method = "get" if method == "HEAD" else method.lower()
    for pattern, item in _PATTERNS:
        if pattern.fullmatch(path) and method in item:
            return item[method]
    return None


def _header_faults(answer, response):
    for name, header in response.get("headers", {}).items():
        header = resolved(header)
        value = answer.headers.get(name)
        if value is None:
            if header.get("required"):
                yield f"the header {name} is missing"
            continue
        schema = resolved(header["schema"])
        if schema.get("type") == "integer":
            value = int(value) if value.isdigit() else value
        for error in _validator(schema).iter_errors(value):
            yield f"the header {name}: {error.message}"


def _body_faults(answer, response):
    content = response.get("content")
    if not content:
        if answer.content:
            yield "has a body"
        return
    media = answer.headers.get("Content-Type", "").split(";")[0].strip()
    if media not in content:
        yield f"the media type {media!r} is not in the document"
    elif media == "application/json":
        try:
            body = answer.json()
        except ValueError as error:
            yield f"the body is no JSON: {error}"
            return
        for error in _validator(content[media]["schema"]).iter_errors(body):
            yield f"{error.json_path}: {error.message}"


def faults(answer):
    """What is wrong with an httpx.Response, as text."""
    request = answer.request
    if request.method == "OPTIONS":  # a browser's preflight, which nginx answers
        return
    path = urlsplit(request.url.raw_path.decode("ascii")).path
    operation = operation_of(request.method, path)
    if operation:
        response = operation["responses"].get(str(answer.status_code)) or operation["responses"]["default"]
        # An error that a call is not said to have is worth a line of its own in the document.
        if str(answer.status_code) not in operation["responses"] and answer.status_code not in (405, 414, 431, 500):
            yield f"the status {answer.status_code} is not in the document"
    elif answer.status_code < 400:
        if PAGES.fullmatch(path):
            return
        yield "the document has no such call"
        return
    else:
        response = DOCUMENT["components"]["responses"]["Error"]
    response = resolved(response)
    yield from _header_faults(answer, response)
    if request.method != "HEAD":
        yield from _body_faults(answer, response)


class Watch:
    """A response hook of httpx; said() is what it found, nothing secret in it."""

    def __init__(self):
        self._found = {}

    def __call__(self, answer):
        answer.read()
        for fault in faults(answer):
            request = answer.request
            path = re.sub(r"[^/]*\d[^/]*", "…", urlsplit(request.url.raw_path.decode("ascii")).path)
            self._found.setdefault(f"{request.method} {path}, {answer.status_code}: {fault[:300]}")

    def said(self):
        return list(self._found)
