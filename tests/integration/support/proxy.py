"""Between the service and PostgreSQL: counts what the service asks, by PostgreSQL's own message framing."""

import contextlib
import select
import shutil
import socket
import struct
import threading

from . import processes

SOCKET = ".s.PGSQL.5432"


class Frontend:
    """The messages of one connection's client, as they pass (PostgreSQL manual, "Message Formats")."""

    def __init__(self):
        self.data = b""
        self.started = False

    def feed(self, data):
        """The types of the messages that are whole now."""
        self.data += data
        types = []
        while True:
            head = 1 if self.started else 0  # the startup message has no type
            if len(self.data) < head + 4:
                return types
            length = head + struct.unpack_from("!I", self.data, head)[0]
            if len(self.data) < length:
                return types
            if self.started:
                types.append(self.data[:1])
            self.started = True
            self.data = self.data[length:]


class CountingProxy:
    """Its directory takes the place of the server's socket directory in a URL."""

    def __init__(self, sockets):
        self.directory = processes.make_directory("proxy")
        self._server = str(sockets / SOCKET)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / SOCKET))
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._counts = {"syncs": 0, "executes": 0}
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client, server):
        frontend = Frontend()
        with client, server, contextlib.suppress(OSError):
            while not self._ended:
                for ready in select.select([client, server], [], [], 0.2)[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is server:
                        client.sendall(data)
                        continue
                    self._count(frontend.feed(data))
                    server.sendall(data)

    def _count(self, types):
        with self._lock:
            self._counts["syncs"] += types.count(b"S")
            self._counts["executes"] += types.count(b"E")

    def counts(self):
        with self._lock:
            return dict(self._counts)

    def since(self, before):
        return {name: number - before[name] for name, number in self.counts().items()}

    def is_idle(self):
        """Has nothing been asked for a while?"""
        before = self.counts()
        threading.Event().wait(0.3)
        return self.counts() == before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended = True
        self._listener.close()
        shutil.rmtree(self.directory, ignore_errors=True)
