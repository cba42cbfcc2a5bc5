"""The stand-in provider as Google is reached: over TLS, held against all the authorities that the system trusts."""

import contextlib
import ssl
import string
from pathlib import Path

from support import processes
from support.service import NGINX
from support.site import Authority

from .programs import Failed
from .servers import await_answers, started, user_directive

TEMPLATE = processes.ROOT / "tests/bench/provider.conf.in"


def _authorities(authority):
    """A file of the system's and of this one: a worker holds them all in its memory."""
    system = ssl.get_default_verify_paths().openssl_cafile
    for path in map(Path, (system, "/etc/ssl/certs/ca-certificates.crt")):
        if path.is_file():
            bundle = authority.directory / "authorities.pem"
            bundle.write_bytes(path.read_bytes() + authority.certificate.read_bytes())
            return bundle
    raise Failed("the system has no file of authorities: ca-certificates is not installed")


@contextlib.contextmanager
def front_of(provider):
    """The service's settings that lead to the provider by TLS."""
    directory = processes.make_directory("web")
    try:
        authority, port = Authority(directory), processes.free_port()
        config, log = directory / "nginx.conf", directory / "log"
        config.write_text(string.Template(TEMPLATE.read_text()).substitute(
            run_dir=directory, user_directive=user_directive(), port=port, provider=provider.url,
            certificate=authority.site_certificate, key=authority.site_key))
        with started([NGINX, "-p", directory, "-c", config, "-e", "stderr", "-g", "daemon off;"], log) as process:
            await_answers(process, f"https://localhost:{port}/_control/settings", log, verify=authority.context())
            yield {"GOOGLE_TOKEN_URL": f"https://localhost:{port}/token", "GOOGLE_CA_FILE": str(_authorities(authority))}
    finally:
        processes.remove_directory(directory)
