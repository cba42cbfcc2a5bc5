"""What the service seals, opened and made without its code: RFC 5869 and AES-GCM as Python's cryptography has them."""

import base64
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

# SECRET_KEY of every Service that is not told otherwise; good enough for production.
KEY = "Zc5v8QpXr1LmYt6KwJb9Ns4Hd0GfEa7uRi2o"
SEALED = re.compile(r"v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)")


class Seals:
    """Seals and opens under one SECRET_KEY."""

    def __init__(self, key=KEY):
        extract = hmac.HMAC(b"token-service v1", hashes.SHA256())
        extract.update(key.encode())
        self._key = extract.finalize()
        self.key_id = self._expand(b"key id", 4).hex()

    def _expand(self, info, length):
        return HKDFExpand(hashes.SHA256(), length, info).derive(self._key)

    def _cipher(self, table, column, row):
        place = "\0".join((table, column, str(row))).encode()
        return AESGCM(self._expand(b"seal\0" + place, 32)), place

    def seal(self, table, column, row, plain):
        cipher, place = self._cipher(table, column, row)
        nonce = os.urandom(12)
        box = nonce + cipher.encrypt(nonce, plain.encode(), place)
        return f"v1.{self.key_id}.{base64.urlsafe_b64encode(box).rstrip(b'=').decode()}"

    def open(self, table, column, row, text):
        """InvalidTag where it does not open there; AssertionError where it is no value of this key."""
        match = SEALED.fullmatch(text)
        assert match and match[1] == self.key_id, f"not sealed under this key: {text}"
        box = base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4))
        cipher, place = self._cipher(table, column, row)
        return cipher.decrypt(box[:12], box[12:], place).decode()

    def grant(self, client_id, access_token, refresh_token):
        """Both columns of a row of tokens."""
        return (self.seal("tokens", "access_token", client_id, access_token),
                self.seal("tokens", "refresh_token", client_id, refresh_token))

    def opened(self, row, client_id):
        """A row with the tokens of this client opened in it; everything else is left as it is."""
        return row and tuple(self._opened(value, client_id) for value in row)

    def _opened(self, value, client_id):
        if not (isinstance(value, str) and SEALED.fullmatch(value)):
            return value
        try:
            return self.open("tokens", "access_token", client_id, value)
        except InvalidTag:
            return self.open("tokens", "refresh_token", client_id, value)

    def verifiers(self, database):
        """The verifiers of all logins under way, in the order of the table."""
        rows = database.all("SELECT encode(state_hash, 'hex'), code_verifier FROM oauth_states")
        return [self.open("oauth_states", "code_verifier", row, sealed) for row, sealed in rows]


SEALS = Seals()
