"""Paths, queries and headers may be anything: each is answered as the contract says, and none ends a worker."""

import re
from urllib.parse import quote

from support import raw
from support.answers import WIDE, answer_of, faults_of
from support.flow import connect_fast, query, register, registration


GOOD_BRANCHES = [
    "a", "0", "branch 1", "brånch", WIDE, "日本語", "a.b", "...", ".a", "-", "--help", "a+b", "a%2fb", "%", "%00", "%zz",
    "a?b=c", "a#b", "a&b", "a=b", "a\\b", "'; DROP TABLE clients; --", "<script>", '"', "refresh", "a:b@c", "~", "é",
    " ", "null", "\u2028", "a\u0301",
]
BAD_BRANCHES = ["", ".", "..", "/", "a/b", "/a", "a/", "\n", "a\tb", "a\rb", "\x01", "\x1f", "\x7f", "\x80", "\x9f", "a\x85b"]


def test_branch_id_of_odd_characters_is_found_again(same_workers, provider):
    """What is registered is reached by its percent-encoded path, and is that branch and no other."""
    grants = {}
    for branch in GOOD_BRANCHES:
        client = register(same_workers, provider, branch_id=branch)
        assert client["branch_identifier"] == branch
        grants[branch] = connect_fast(same_workers, provider, client)["access_token"]
    for branch, access_token in grants.items():
        for path in (quote(branch, safe=""), "".join(f"%{byte:02x}" for byte in branch.encode())):
            answer = raw.send(same_workers, raw.request(b"GET", b"/tokens/" + path.encode()))
            assert answer.status_code == 200, (path, answer.text)
            assert (answer.json()["branch_id"], answer.json()["access_token"]) == (branch, access_token)
        listed = same_workers.get("/clients", params={"q": branch}).json()["clients"]
        assert branch in [each["branch_identifier"] for each in listed]


def test_branch_id_of_bad_characters_is_refused(same_workers):
    """No control characters, no slash, and nothing a path would swallow."""
    for branch in BAD_BRANCHES:
        answer = same_workers.post("/clients", json=registration(same_workers, branch_id=branch))
        assert faults_of(answer) == ["branch_id"], branch


MALFORMED, NO_BRANCH, NO_PATH = (400, "malformed_request"), (404, "branch_not_found"), (404, "not_found")
NO_CLIENT = (404, "client_not_found")
PATHS = {
    b"/tokens/%": MALFORMED,
    b"/tokens/%4": MALFORMED,
    b"/tokens/%zz": MALFORMED,
    b"/tokens/%4g": MALFORMED,
    b"/tokens/a%": MALFORMED,
    b"/tokens/%00": MALFORMED,
    b"/tokens/a%00b": MALFORMED,
    b"/tokens/%ff": MALFORMED,
    b"/tokens/%c0%80": MALFORMED,
    b"/tokens/%c3": MALFORMED,
    b"/tokens/%ed%a0%80": MALFORMED,
    b"/tokens/%f4%90%80%80": MALFORMED,
    b"/tokens/\xff": MALFORMED,
    b"/tokens/%c3%28": MALFORMED,
    b"/clients/%ff": MALFORMED,
    b"/oauth/login/%ff": MALFORMED,
    b"/tokens/a%2fb": NO_BRANCH,
    b"/tokens/a%2Fb": NO_BRANCH,
    b"/tokens/%2e": NO_BRANCH,
    b"/tokens/%2e%2e": NO_BRANCH,
    b"/tokens/x%2f..": NO_BRANCH,
    b"/tokens/\xc3\xa9": NO_BRANCH,
    b"/tokens/%0a": NO_BRANCH,
    b"/tokens/%0d%0aSet-Cookie:%20a=b": NO_BRANCH,
    b"/tokens/known%20": NO_BRANCH,
    b"/tokens/KNOWN": NO_BRANCH,
    b"/tokens/known+": NO_BRANCH,
    b"/tokens/" + b"x" * 4000: NO_BRANCH,
    b"/tokens/": NO_PATH,
    b"/tokens": NO_PATH,
    b"//tokens/known": NO_PATH,
    b"/tokens//known": NO_PATH,
    b"/tokens/known/": NO_PATH,
    b"/tokens/./known": NO_PATH,
    b"/x/../tokens/known": NO_PATH,
    b"/%74okens/known": NO_PATH,
    b"/tokens%2fknown": NO_PATH,
    b"/x/../auth/callback": NO_PATH,
    b"/auth/callback/": NO_PATH,
    b"/%61uth/callback": NO_PATH,
    b"/oauth/login/": NO_PATH,
    b"/oauth/login": NO_PATH,
    b"/_error": NO_PATH,
    b"/@exchange": NO_PATH,
    b"/TOKENS/known": NO_PATH,
    b"/clients/0": NO_CLIENT,
    b"/clients/-1": NO_CLIENT,
    b"/clients/+1": NO_CLIENT,
    b"/clients/1.0": NO_CLIENT,
    b"/clients/1e0": NO_CLIENT,
    b"/clients/0x1": NO_CLIENT,
    b"/clients/%201": NO_CLIENT,
    b"/clients/1%20": NO_CLIENT,
    b"/clients/abc": NO_CLIENT,
    b"/clients/9223372036854775807": NO_CLIENT,
    b"/clients/9223372036854775808": NO_CLIENT,
    b"/clients/18446744073709551617": NO_CLIENT,
    b"/oauth/login/18446744073709551617": NO_CLIENT,
    b"/oauth/login/1abc": NO_CLIENT,
    b"/tokens/known": (200, None),
    b"/tokens/%6b%6E%6f%77%6e": (200, None),
    b"/tokens/known?": (200, None),
    b"/tokens/known?unknown=1&unknown2": (200, None),
    b"http://example.test/tokens/known": (200, None),
}


def wrong_answers(service, provider, table):
    """{target: answer} of those that are not answered as the table says, with the branch "known" connected."""
    connect_fast(service, provider, register(service, provider, branch_id="known"))
    answers = {target: answer_of(raw.send(service, raw.request(b"GET", target))) for target in table}
    return {target: got for target, got in answers.items() if got != table[target]}


def test_paths_are_taken_as_they_were_sent(same_workers, provider):
    """Each is split first and decoded then; nothing is normalised, and what cannot be decoded is malformed."""
    assert not wrong_answers(same_workers, provider, PATHS)


INVALID = (422, "validation_failed")
GOOD = (200, None)
STATE = (400, "invalid_state")
QUERIES = {
    b"/clients?limit=%zz": MALFORMED,
    b"/clients?limit=%": MALFORMED,
    b"/clients?limit=1%00": MALFORMED,
    b"/clients?q=%ff": MALFORMED,
    b"/clients?%ff=1": MALFORMED,
    b"/clients?limit=1&limit=1": MALFORMED,
    b"/clients?limit=1&li%6dit=2": MALFORMED,
    b"/clients?x&x": MALFORMED,
    b"/clients?" + b"&".join(b"p%d=1" % i for i in range(33)): MALFORMED,
    b"/clients?limit=": INVALID,
    b"/clients?limit": INVALID,
    b"/clients?limit=0": INVALID,
    b"/clients?limit=-1": INVALID,
    b"/clients?limit=1001": INVALID,
    b"/clients?limit=1.5": INVALID,
    b"/clients?limit=+1": INVALID,
    b"/clients?limit=99999999999999999999": INVALID,
    b"/clients?limit=many": INVALID,
    b"/clients?after=-1": INVALID,
    b"/clients?after=9223372036854775808": INVALID,
    b"/clients?q=" + b"x" * 257: INVALID,
    b"/clients?limit=1000&after=9223372036854775807&q=": GOOD,
    b"/clients?&&limit=1&": GOOD,
    b"/clients?LIMIT=x": GOOD,
    b"/clients?q=%25_%5c%27%22": GOOD,
    b"/clients?q=%5c" + b"x" * 255: GOOD,
    b"/clients?q=" + b"_" * 256: GOOD,
    b"/clients?" + b"&".join(b"p%d=1" % i for i in range(32)): GOOD,
    b"/tokens/known?min_ttl=3001": INVALID,
    b"/tokens/known?min_ttl=-1": INVALID,
    b"/tokens/known?min_ttl=": INVALID,
    b"/tokens/known?min_ttl=1e3": INVALID,
    b"/tokens/known?min_ttl=0x10": INVALID,
    b"/tokens/known?min_ttl=%201": INVALID,
    b"/tokens/known?min_ttl=1&min_ttl=1": MALFORMED,
    b"/tokens/known?x=%zz": MALFORMED,
    b"/tokens/known?min_ttl=0": GOOD,
    b"/tokens/known?min_ttl=%33000": GOOD,
    b"/auth/callback?state=a&state=b": MALFORMED,
    b"/auth/callback?code=a&code=a&state=b": MALFORMED,
    b"/auth/callback?iss=a&iss=b": MALFORMED,
    b"/auth/callback?state=%zz": MALFORMED,
    b"/auth/callback?state=%00": MALFORMED,
    b"/auth/callback?state=%ff": MALFORMED,
    b"/auth/callback?error=%c3&state=x": MALFORMED,
    b"/auth/callback": STATE,
    b"/auth/callback?": STATE,
    b"/auth/callback?state=": STATE,
    b"/auth/callback?state=" + b"A" * 43: STATE,
    b"/auth/callback?state=" + b"A" * 42 + b"%27": STATE,
    b"/auth/callback?state=" + b"A" * 8000: STATE,
    b"/auth/callback?error=access_denied": STATE,
    b"/oauth/login/999999?redirected=%zz": MALFORMED,
    b"/oauth/login/999999?redirected=1&redirected=1": MALFORMED,
}


def test_queries_are_read_strictly(same_workers, provider):
    """Each parameter once, well encoded, in range; unknown ones are ignored."""
    assert not wrong_answers(same_workers, provider, QUERIES)


COOKIES = [
    b"token_service_login=", b"token_service_login", b"=", b";;;", b"token_service_login=" + b"A" * 42,
    b"token_service_login=" + b"A" * 44, b"token_service_login=" + b"A" * 42 + b"\xff", b"token_service_login=" + b"A" * 4000,
    b"__Host-token_service_login=" + b"B" * 43, b'token_service_login="' + b"A" * 43 + b'"', b"a=b; token_service_login=" + b"'" * 43,
]


def test_odd_cookies_neither_log_in_nor_break_a_login(same_workers, provider):
    """A browser's cookies may be anything: a login gives a good one, and a callback is refused."""
    client = register(same_workers, provider)
    for cookie in COOKIES:
        check_cookie(same_workers, client, cookie)


def check_cookie(same_workers, client, cookie):
    headers = [(b"Cookie", cookie)]
    login = raw.send(same_workers, raw.request(b"GET", b"/oauth/login/%d" % client["client_id"], headers))
    # Its host is another than the redirect URI's, so that it is sent there; the mark stops that.
    assert login.status_code == 302
    login = raw.send(same_workers, raw.request(b"GET", b"/oauth/login/%d?redirected=1" % client["client_id"], headers))
    assert login.status_code == 302
    if not cookie.startswith(b"__Host-"):
        assert re.match(r"token_service_login=[A-Za-z0-9_-]{43};", login.headers["set-cookie"])
    state = query(login.headers["location"])["state"].encode()
    headers = [(b"Cookie", b"token_service_login=" + b"Z" * 43)]
    callback = raw.send(same_workers, raw.request(b"GET", b"/auth/callback?code=x&state=" + state, headers))
    assert answer_of(callback) == STATE


def test_login_goes_only_to_addresses_that_are_configured(same_workers, provider):
    """Host, X-Forwarded-Host and the like choose no address: there is no open redirect."""
    client = register(same_workers, provider)
    for header in [b"Host", b"X-Forwarded-Host", b"Forwarded", b"X-Host", b"X-Original-URL"]:
        request = raw.request(b"GET", b"/oauth/login/%d" % client["client_id"], [(header, b"evil.example.test")])
        if header == b"Host":
            request = request.replace(b"Host: localhost\r\n", b"", 1)
        answer = raw.send(same_workers, request)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith((provider.url, client["login_url"]))
        assert "evil" not in answer.headers["location"]
