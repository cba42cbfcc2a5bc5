"""The production site of nginx and pages of other origins."""

import pytest

from support.site import assert_json_error, assert_security_headers, logged

ORIGIN, OTHER_ORIGIN = "https://app.example.test", "https://evil.example.test"


def preflight(site, origin, path="/tokens/b", method="GET"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method,
               "Access-Control-Request-Headers": "authorization"}
    return site.request("OPTIONS", path, headers=headers)


def cors_headers(response):
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def test_pages_of_allowed_origins_may_read(make_site):
    """Good answers, errors of the service and of nginx; the answer names that one origin and never credentials."""
    site = make_site(allowed_origins=f"http://localhost:3000, {ORIGIN}")
    for method, path in (("GET", "/health"), ("GET", "/tokens/none"), ("TRACE", "/")):
        response = site.request(method, path, headers={"Origin": ORIGIN})
        assert cors_headers(response) == {
            "access-control-allow-origin": ORIGIN,
            "access-control-expose-headers": "Allow, Retry-After, WWW-Authenticate, X-Request-Id",
        }
        assert response.headers.get_list("vary") == ["Origin"]
        assert_security_headers(response)


@pytest.mark.parametrize(
    "origin", [OTHER_ORIGIN, "null", ORIGIN + ".evil.test", ORIGIN + ":8443", "http://app.example.test", "*", ""],
)
def test_pages_of_other_origins_may_not(make_site, origin):
    """No header but Vary, which a cache needs; their preflight is no more than a method that is not served."""
    site = make_site(allowed_origins=ORIGIN)
    response = site.get("/health", headers={"Origin": origin})
    assert cors_headers(response) == {} and response.headers["vary"] == "Origin"
    response = preflight(site, origin)
    assert_json_error(response, 405, "method_not_allowed")
    assert cors_headers(response) == {}


def test_preflight_of_an_allowed_origin(make_site):
    """Answered by nginx with what may be sent; an admin's call only where admins are."""
    site = make_site(allowed_origins=ORIGIN, admin_network="192.0.2.0/24")
    response = preflight(site, ORIGIN)
    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-expose-headers": "Allow, Retry-After, WWW-Authenticate, X-Request-Id",
        "access-control-allow-methods": "GET, POST, PATCH, DELETE",
        "access-control-allow-headers": "Authorization, Content-Type, X-Request-Id",
        "access-control-max-age": "600",
    }
    assert response.headers["vary"] == "Origin"
    assert_security_headers(response)
    assert logged(site, 1, method="OPTIONS")[0]["upstream"] == "", "the service saw it"
    assert_json_error(preflight(site, ORIGIN, "/clients", "POST"), 403, "forbidden")
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = site.request("OPTIONS", "/auth/callback?code=hunter2", headers=headers, content=b"x" * 70000)
    assert answer.status_code == 204 and "hunter2" not in site.nginx.error_log.read_text()
    # Without the header that makes it one it is no preflight.
    assert site.request("OPTIONS", "/health", headers={"Origin": ORIGIN}).status_code == 405


def test_no_origin_is_allowed_unless_told(site):
    response = site.get("/health", headers={"Origin": ORIGIN})
    assert cors_headers(response) == {} and "vary" not in response.headers
    assert preflight(site, ORIGIN).status_code == 405


def test_development_has_the_same_rules_for_origins(make_service):
    """A page under development is tried against scripts/run."""
    service = make_service(nginx_options={"allowed-origins": ORIGIN})
    response = service.get("/health", headers={"Origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "strict-transport-security" not in response.headers
    assert preflight(service, ORIGIN).status_code == 204
    assert preflight(service, OTHER_ORIGIN).status_code == 405


@pytest.mark.parametrize("origin", [OTHER_ORIGIN, "null", ORIGIN + ".evil.test"])
def test_page_of_another_origin_changes_nothing(make_site, origin):
    """Also what a browser sends without asking first; to look is nothing, the answer is kept from it."""
    site = make_site(allowed_origins=ORIGIN, admin_network="127.0.0.0/8")
    for method, path in (("POST", "/tokens/b/revoke"), ("POST", "/tokens/refresh"), ("DELETE", "/clients/1")):
        response = site.request(method, path, headers={"Origin": origin, "Content-Type": "text/plain"}, content="")
        assert_json_error(response, 403, "forbidden")
        assert "another origin" in response.json()["message"]
        assert logged(site, 1, method=method, path=path)[0]["upstream"] == "", "the service saw it"
    assert site.get("/health", headers={"Origin": origin}).status_code == 200


def test_own_page_and_allowed_ones_may_change(make_site):
    """The console's calls, those of an allowed origin, and those of programs, which name none."""
    site = make_site(allowed_origins=ORIGIN, admin_network="127.0.0.0/8")
    own = str(site.get("/health").request.url.copy_with(path="")).rstrip("/")
    for headers in ({"Origin": own}, {"Origin": own.upper().replace("HTTPS", "https")}, {"Origin": ORIGIN}, {}):
        response = site.request("POST", "/tokens/b/revoke", headers=headers)
        assert response.status_code != 403, (headers, response.text)
