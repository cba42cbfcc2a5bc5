"""fetch_token.py BRANCH: prints a working access token, with httpx.

TOKEN_SERVICE_URL: where the service is. TOKEN_SERVICE_KEY: the API key, where one is required.
"""

import os
import sys
import time
from urllib.parse import quote

import httpx

URL = os.environ.get("TOKEN_SERVICE_URL", "http://token-service:8002")
KEY = os.environ.get("TOKEN_SERVICE_KEY")
CONNECT = ("authorization_required", "reauthorization_required")


class NotConnected(Exception):
    """A person has to connect the branch (again)."""


def fetch_token(branch_id, attempts=5):
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    with httpx.Client(base_url=URL, headers=headers, timeout=10) as client:
        for _ in range(attempts):
            response = client.get(f"/tokens/{quote(branch_id, safe='')}")
            answer = response.json()
            if response.status_code == 200:
                return answer["access_token"]
            if response.status_code not in (429, 503):
                break
            time.sleep(int(response.headers.get("Retry-After", 1)))
    text = f"{answer['error']}: {answer['message']} {answer.get('login_url', '')}"
    raise (NotConnected if answer["error"] in CONNECT else RuntimeError)(text)


if __name__ == "__main__":
    try:
        print(fetch_token(sys.argv[1]))
    except NotConnected as error:
        print(error, file=sys.stderr)
        sys.exit(3)
