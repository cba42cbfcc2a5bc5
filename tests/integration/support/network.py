"""Hosts that have a network of their own: a wire that can fall silent, which loopback never does.

Linux network namespaces, joined by a bridge. Sockets of files reach across them: the tests talk with nginx and with
PostgreSQL as ever. Nothing of the machine's own network is touched, and all of it ends with the processes that hold it.
"""

import contextlib
import itertools
import os
import select
import shutil
import socket
import subprocess
import threading

from . import processes

BRIDGE = "wire"
BRIDGE_ADDRESS = "02:00:00:77:00:01"
NETWORK = "10.77.0"
# The states of a bridge's port (linux/if_bridge.h): what is disabled drops every frame, and neither end is told.
DISABLED, FORWARDING = 0, 3

_LISTEN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=64)
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [b"."], [listener.fileno()])
"""


class Namespace:
    """A network of its own, as long as its process lives. base: whose user namespace it shares."""

    def __init__(self, base=None):
        self.process = processes.start(
            [*(base.enter if base else self._own_user()), "unshare", "--net", "setpriv", "--pdeathsig", "KILL", "sleep", "infinity"],
            env=processes.plain_environment(), stdout=subprocess.DEVNULL)
        try:
            processes.wait_until(self._is_apart, what="a network namespace")
            self.ip("link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _own_user():
        """Who is not root may do what he likes in a user namespace of his own."""
        return [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]

    def _is_apart(self):
        assert self.process.poll() is None, "the network namespace ended"
        with open(f"/proc/{self.process.pid}/comm") as file:
            return file.read() == "sleep\n"

    @property
    def enter(self):
        """What stands before a command that is to run here."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(self.process.pid), *user, "--net"]

    @property
    def enter_as_ordinary_user(self):
        """As enter, for a program that does not run as root: root gives its rights up by itself."""
        if os.geteuid() == 0:
            return self.enter
        return [*self.enter, "unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]

    def ip(self, *arguments):
        self.run("ip", *arguments)

    def run(self, program, *arguments):
        """One of iproute2's."""
        command = [shutil.which(program) or f"/usr/sbin/{program}", *map(str, arguments)]
        done = subprocess.run([*self.enter, *command], env=processes.plain_environment(), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def listen(self, port):
        """A socket that listens on this network's loopback address."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            done = subprocess.run([*self.enter, "/usr/bin/python3", "-c", _LISTEN, str(theirs.fileno()), str(port)],
                                  pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            _, [descriptor], *_ = socket.recv_fds(ours, 1, 1)
        return socket.socket(fileno=descriptor)

    def close(self):
        processes.stop(self.process)


class Network:
    """A wire with PostgreSQL's server at one end, and hosts at others."""

    def __init__(self):
        self._closing = contextlib.ExitStack()
        self._number = itertools.count(2)
        self.server = self._namespace()
        # With an address of its own: else it has the least of its ports', and each host that joins may change it for the others.
        self.server.ip("link", "add", BRIDGE, "address", BRIDGE_ADDRESS, "type", "bridge")
        self.server.ip("address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        self.server.ip("link", "set", BRIDGE, "up")

    def _namespace(self, base=None):
        made = Namespace(base)
        self._closing.callback(made.close)
        return made

    def host(self, provider_port):
        """A further Host; it finds the provider at the port of its own loopback address where the tests find it."""
        number = next(self._number)
        host = Host(self.server, self._namespace(self.server), number)
        self._closing.callback(Forwarder(host.namespace.listen(provider_port), provider_port).close)
        return host

    def close(self):
        self._closing.close()


class Host:
    """One end of the wire."""

    def __init__(self, server, namespace, number):
        self.namespace = namespace
        self._server = server
        self._port = f"host{number}"
        server.ip("link", "add", self._port, "type", "veth", "peer", "name", "wire", "netns", namespace.process.pid)
        namespace.ip("address", "add", f"{NETWORK}.{number}/24", "dev", "wire")
        namespace.ip("link", "set", "wire", "up")
        server.ip("link", "set", self._port, "master", BRIDGE, "up")

    def _set_state(self, state):
        # "ip link set … type bridge_slave state 0" says that it did and does nothing.
        self._server.run("bridge", "link", "set", "dev", self._port, "state", state)

    @contextlib.contextmanager
    def silent(self):
        """Inside the block whatever is sent, either way, is lost, and nobody is told."""
        self.cut()
        try:
            yield
        finally:
            self.mend()

    def cut(self):
        self._set_state(DISABLED)

    def mend(self):
        self._set_state(FORWARDING)


class Forwarder:
    """Carries what comes in at a listening socket to a port of this process's own loopback address."""

    def __init__(self, listener, port):
        self._listener = listener
        self._port = port
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)) as server:
            other = {client: server, server: client}
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)

    def close(self):
        # Who waits in accept() is woken by the one, not by the other.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
