"""What serves while something is measured; ended with its block."""

import contextlib
import grp
import os
import pwd
import signal

import httpx
from support import processes
from support.service import NGINX


@contextlib.contextmanager
def started(command, log, **env):
    with open(log, "ab") as out:
        process = processes.start(command, env=processes.plain_environment(**env), stdout=out, stderr=out)
    try:
        yield process
    finally:
        processes.stop(process, signal.SIGQUIT if command[0] == NGINX else signal.SIGTERM, 10)


def await_answers(process, url, log, verify=True):
    def answers():
        assert process.poll() is None, f"{process.args}: {log.read_text()[-3000:]}"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, trust_env=False, verify=verify).status_code == 200
        return False

    processes.wait_until(answers, 30, f"{url} answers")


def user_directive():
    """nginx's workers have to reach the sockets of whoever runs this."""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};" if os.geteuid() == 0 else ""
