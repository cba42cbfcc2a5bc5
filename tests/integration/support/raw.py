"""Bytes as they are: requests that no HTTP library would send, and FastCGI records past nginx."""

import contextlib
import http.client
import json
import socket
import struct
from urllib.parse import urlsplit

from . import processes

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
POOLS = ["database", "exchange"]


class Answer:
    def __init__(self, response):
        self.status_code = response.status
        self.headers = response.headers
        self.content = response.read()

    @property
    def text(self):
        return self.content.decode()

    def json(self):
        return json.loads(self.content)


def send(service, request, method="GET"):
    """Sends the bytes to nginx on a connection of its own, which stays open: the Answer; None when there was none.

    method: what the answer is read for (HEAD has no body).
    """
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), processes.seconds(60)) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection, method=method)
        try:
            response.begin()
        except http.client.RemoteDisconnected:
            return None
        return Answer(response)


def request(method, target, headers=(), body=b""):
    """The bytes of a request that is well-formed around them; target, headers' values and body are bytes."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: localhost", b"Accept: application/json"]
    lines += [name + b": " + value for name, value in headers]
    if body or method in (b"POST", b"PATCH"):
        lines.append(b"Content-Length: " + str(len(body)).encode())
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def record(kind, content=b"", request_id=1, padding=0, version=1):
    """One FastCGI record."""
    return struct.pack("!BBHHBB", version, kind, request_id, len(content), padding, 0) + content + bytes(padding)


def pair(name, value):
    """A FastCGI name-value pair."""
    def length(text):
        return bytes([len(text)]) if len(text) < 128 else struct.pack("!I", len(text) | 0x80000000)

    return length(name) + length(value) + name + value


def begin(role=1, keep=False):
    return record(BEGIN_REQUEST, struct.pack("!HB5x", role, keep))


def fastcgi_request(method="GET", target="/health/live", body=b"", **params):
    """A whole request as nginx sends it."""
    params = {
        "REQUEST_METHOD": method, "REQUEST_URI": target, "CONTENT_TYPE": "application/json" if body else "",
        "CONTENT_LENGTH": str(len(body)) if body else "", "REQUEST_ID": "raw", "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_SCHEME": "http", "HTTP_HOST": "localhost", **params,
    }
    pairs = b"".join(pair(name.encode(), value.encode()) for name, value in params.items())
    content = record(STDIN, body) if body else b""
    return begin() + record(PARAMS, pairs) + record(PARAMS) + content + record(STDIN)


def connect(service, pool):
    """A connection to the socket of a pool; the caller closes it."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(processes.seconds(60))
    connection.connect(str(service.socket_dir / f"{pool}.sock"))
    return connection


def drain(connection):
    """What comes until the peer closes, which a peer that is killed does as well."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def fastcgi(service, pool, data, stays=False):
    """What comes back for these bytes, after which nothing more is sent.

    stays: the sending side stays open, as nginx's does for as long as its caller waits.
    """
    with contextlib.closing(connect(service, pool)) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
            if not stays:
                connection.shutdown(1)
        return drain(connection)
