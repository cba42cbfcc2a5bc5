"""What the service is held against: other ways to answer the same request, on the same machine and PostgreSQL."""

import contextlib
import string

import httpx
from support import processes
from support.service import NGINX

from .load import Target, cores
from .programs import BUILD
from .servers import await_answers, started, user_directive

HERE = processes.ROOT / "tests/bench"
UVICORN_WORKERS = 2
RESPONDER_WORKERS = 8
HELLO_WORKERS = 2  # the service's database workers


class Peer:
    """letter: its name in the targets. is_same: answers as the service does, field by field."""

    def __init__(self, name, letter, title, port, last, is_same):
        self.name = name
        self.title = f"{letter}  {title}"
        self.is_same = is_same
        self.target = Target(port, "none", 1, last)


@contextlib.contextmanager
def fastapi(directory, database, last):
    """Behind nothing, as the original is run; with its access log."""
    port, log = processes.free_port(), directory / "fastapi.log"
    command = ["/usr/bin/python3", "-B", "-m", "uvicorn", "--app-dir", HERE / "peer_fastapi", "service:app", "--host",
               "127.0.0.1", "--port", port, "--workers", UVICORN_WORKERS]
    url = database.cluster.url("postgres", database.name).replace("postgresql:", "postgresql+psycopg2:", 1)
    with started(command, log, DATABASE_URL=url) as process:
        await_answers(process, f"http://127.0.0.1:{port}/tokens/branch-1", log)
        yield [Peer("fastapi", "a", "FastAPI, SQLAlchemy, psycopg2, 2 uvicorn workers", port, last, True)]


@contextlib.contextmanager
def behind_nginx(directory, database, last):
    """b, c and d, behind one nginx."""
    ports = {f"{name}_port": processes.free_port() for name in ("responder", "hello", "return")}
    config, log = directory / "nginx.conf", directory / "peers.log"
    config.write_text(string.Template((HERE / "peers.conf.in").read_text()).substitute(
        run_dir=directory, user_directive=user_directive(), workers=min(cores(), 4), **ports))
    responder = [BUILD / "peer_libfcgi/responder", directory / "responder.sock", RESPONDER_WORKERS]
    hello = [BUILD / "peer_hello/hello", directory / "hello.sock", HELLO_WORKERS]
    nginx = [NGINX, "-p", directory, "-c", config, "-e", "stderr", "-g", "daemon off;"]
    url = database.cluster.url("postgres", database.name)
    with started(responder, log, DATABASE_URL=url) as one, started(hello, log) as two, started(nginx, log) as front:
        for process, name in ((one, "responder"), (two, "hello"), (front, "return")):
            await_answers(process, f"http://127.0.0.1:{ports[f'{name}_port']}/tokens/branch-1", log)
        yield [
            Peer("libfcgi", "b", "nginx, libfcgi, one prepared SELECT, 8 processes", ports["responder_port"], last, True),
            Peer("hello", "c", "nginx, our worker loop with nothing in it", ports["hello_port"], last, False),
            Peer("return", "d", "nginx alone: return 200", ports["return_port"], last, False),
        ]


@contextlib.contextmanager
def all_of_them(database, last):
    directory = processes.make_directory("web")
    try:
        with fastapi(directory, database, last) as first, behind_nginx(directory, database, last) as others:
            yield first + others
    finally:
        processes.remove_directory(directory)


def answer_of(contestant, number):
    response = httpx.get(f"http://127.0.0.1:{contestant.target.port}/tokens/branch-{number}", trust_env=False,
                         headers={"Authorization": f"Bearer {contestant.target.key}"})
    assert response.status_code == 200, f"{contestant.name}: {response.status_code} {response.text}"
    return response.json()


def check_same_answers(ours, peers):
    """What the peers that claim it answer is what the service answers, but for the time of expiry."""
    for number in (ours.target.first, ours.target.last):
        wanted = answer_of(ours, number)
        for peer in (peer for peer in peers if peer.is_same):
            for name, value in answer_of(peer, number).items():
                assert name == "expires_at" or wanted[name] == value, f"{peer.name} answers {name} {value}, not {wanted[name]}"
