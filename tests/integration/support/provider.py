"""The stand-in provider (tests/provider) as a process, and its control API."""

import itertools
import os
from urllib.parse import quote

import httpx

from . import processes

DEFAULT_SETTINGS = {
    "access_token_ttl": 3600, "email_claim": True, "email_verified": True, "issue_refresh_token": True,
    "revoke_person": True, "rotate": False,
}
SCOPE = "https://www.googleapis.com/auth/business.manage"


class Provider:
    """See tests/provider/README.md for faults, settings, log entries and counts."""

    def __init__(self):
        self.directory = processes.make_directory("op")
        self._number = itertools.count(1)
        self._control = None
        with open(self.directory / "out", "wb") as out, open(self.directory / "err", "wb") as err:
            self.process = processes.start(
                [processes.ROOT / "tests/provider/start", "--port", "0"],
                env=processes.plain_environment(), stdout=out, stderr=err,
            )
        try:
            self.url = processes.wait_until(self._ready_url, 60, "the stand-in provider is ready")
        except BaseException:
            self.close()
            raise
        self._control = httpx.Client(base_url=f"{self.url}/_control", trust_env=False, timeout=processes.seconds(30))

    def _ready_url(self):
        assert self.process.poll() is None, (self.directory / "err").read_text()
        line, newline, _ = (self.directory / "out").read_text().partition("\n")
        return line.rpartition(" ")[2] if newline else None

    @property
    def port(self):
        return httpx.URL(self.url).port

    @property
    def environment(self):
        """The service's settings that lead here."""
        return {
            "GOOGLE_ISSUER": self.url,
            "GOOGLE_AUTH_URL": f"{self.url}/auth",
            "GOOGLE_TOKEN_URL": f"{self.url}/token",
            "GOOGLE_REVOKE_URL": f"{self.url}/token/revocation",
        }

    def _call(self, method, path, body=None, **query):
        response = self._control.request(method, path, json=body, params=query)
        assert response.status_code == 200, f"{method} {path}: {response.text}"
        return response.json()

    def reset(self):
        """No faults, no log, no counts, default settings. Clients and grants stay: their names are never reused."""
        self.clear_faults()
        self.settings(**DEFAULT_SETTINGS)
        self._call("DELETE", "/log")

    def client(self, id=None, secret=None):
        """Registers an OAuth client, or changes its secret: (id, secret)."""
        number = f"{os.getpid()}-{next(self._number)}"
        id = id or f"oauth-client-{number}.apps.example.test"
        secret = secret or f"oauth-secret-{number}"
        self._call("POST", "/clients", {"client_id": id, "client_secret": secret})
        return id, secret

    def remove_client(self, id):
        self._call("DELETE", f"/clients/{quote(id, safe='')}")

    def fault(self, kind, endpoint="token", times=1, **fields):
        return self._call("POST", "/faults", {"endpoint": endpoint, "kind": kind, "times": times, **fields})

    def faults(self):
        """Those that are not used up."""
        return self._call("GET", "/faults")["faults"]

    def clear_faults(self):
        """What is held goes on."""
        self._call("DELETE", "/faults")

    def release(self):
        """Lets what is held go on; how many requests that were."""
        return self._call("POST", "/release")["released"]

    def settings(self, **changes):
        return self._call("POST", "/settings", changes)

    def log(self, endpoint="token", **fields):
        """Requests, oldest first; fields narrow them: grant_type="refresh_token"."""
        return self._call("GET", "/log", endpoint=endpoint, **fields)["entries"]

    def log_after(self, sequence):
        """Requests at both endpoints that came after the one of this number."""
        return self._call("GET", "/log", after=sequence)["entries"]

    def refreshes(self, **fields):
        return self.log(grant_type="refresh_token", **fields)

    def counts(self):
        return self._call("GET", "/counts")

    def wait_for_requests(self, number, endpoint="token", **fields):
        """Until so many requests have come; they may still be under way."""
        return processes.wait_until(
            lambda: (entries := self.log(endpoint, **fields)) and len(entries) >= number and entries,
            what=f"{number} requests at the provider's {endpoint} endpoint",
        )

    def grant(self, client_id, **fields):
        """Tokens of a consent without a browser: {access_token, refresh_token, expires_in, scope, token_type}."""
        return self._call("POST", "/grants", {"client_id": client_id, **fields})

    def revoke(self, **which):
        """Behind the client's back: refresh_token=…, or client_id=… with or without login=…."""
        return self._call("POST", "/revoke", which)["revoked"]

    def introspect(self, token):
        return self._call("POST", "/introspect", {"token": token})

    def works(self, access_token):
        """Does a resource server take this access token?"""
        headers = {"Authorization": f"Bearer {access_token}"}
        return self._control.get("/verify", headers=headers).status_code == 200

    def close(self):
        if self._control:
            self._control.close()
        status = processes.stop(self.process)
        text = (self.directory / "err").read_text()
        processes.remove_directory(self.directory)
        assert status == 0, f"the stand-in provider ended with {status}: {text}"
