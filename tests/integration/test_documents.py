"""The documents and the console's files: openapi.json and the pages that show it, under nginx's policy for them."""

import json
import re

import httpx
import pytest
from selenium.webdriver.common.by import By

from support.flow import connected, path_of
from support.openapi import DOCUMENT, faults
from support.processes import ROOT

STATIC = ROOT / "nginx/static"
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
FILES = {
    "/openapi.json": ("application/json", STATIC / "openapi.json"),
    "/console": ("text/html; charset=utf-8", STATIC / "console.html"),
    "/docs": ("text/html; charset=utf-8", STATIC / "docs.html"),
    "/redoc": ("text/html; charset=utf-8", STATIC / "redoc.html"),
    "/static/docs.css": ("text/css; charset=utf-8", STATIC / "docs.css"),
    "/static/docs.js": ("text/javascript; charset=utf-8", STATIC / "docs.js"),
    "/static/redoc.js": ("text/javascript; charset=utf-8", STATIC / "redoc.js"),
    "/static/redoc.css": ("text/css; charset=utf-8", STATIC / "redoc.css"),
    "/static/swagger-ui.css": ("text/css; charset=utf-8", STATIC / "node_modules/swagger-ui-dist/swagger-ui.css"),
    "/static/swagger-ui-bundle.js": (
        "text/javascript; charset=utf-8", STATIC / "node_modules/swagger-ui-dist/swagger-ui-bundle.js"),
    "/static/redoc.standalone.js": (
        "text/javascript; charset=utf-8", STATIC / "node_modules/redoc/bundles/redoc.standalone.js"),
}
FILES |= {
    f"/static/{file.name}": (MEDIA_TYPES[file.suffix], file) for file in STATIC.glob("console*") if file.suffix != ".html"
}
# ReDoc's footer has its maker's logo; the policy keeps the browser from asking for it.
LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
SUMMARIES = [
    operation["summary"] for item in DOCUMENT["paths"].values() for operation in item.values() if "summary" in operation
]


@pytest.mark.parametrize("path", FILES)
def test_file_is_served_as_it_is(service, path):
    """Each file: its bytes, its type, nothing that a browser may not do; asked again, it is not sent again."""
    media_type, file = FILES[path]
    answer = service.get(path)
    assert answer.status_code == 200
    assert answer.content == file.read_bytes()
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Request-Id"]
    again = service.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    part = service.get(path, headers={"Range": "bytes=99999999-", "Accept-Encoding": "identity"})
    assert (part.status_code, part.content) == (200, answer.content), "parts of a file are not to be had"
    assert len(part.headers.get_list("X-Request-Id")) == 1


def test_documents_need_no_key(make_service):
    service = make_service({"API_AUTH": "required"})
    assert service.get("/clients").status_code == 401
    for path in FILES:
        assert service.get(path).status_code == 200, path


@pytest.mark.parametrize("path", ["/docs/", "/docs/x", "/static/", "/static/package.json", "/static/../openapi.json.bak",
                                  "/static/node_modules/redoc/package.json", "/console/", "/static/console.html",
                                  "/static/console-x.js/", "/openapi.json/"])
def test_nothing_else_is_served(service, path):
    answer = service.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


def test_documents_take_get_alone(service):
    answer = service.post("/openapi.json", json={})
    assert answer.status_code == 405
    assert answer.json()["error"] == "method_not_allowed"
    assert answer.headers["Allow"] == "GET, HEAD"


def test_documents_are_at_the_path_prefix(make_service):
    service = make_service(nginx=False)
    service.start_nginx(options={"path-prefix": "/tokens-api"})
    page = service.get("/tokens-api/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:href|src)="((?!data:)[^"]+)"', page.text)
    assert len(links) == 5
    for link in links:
        assert service.get(f"/tokens-api/{link}").status_code == 200, link
    assert service.get("/docs").status_code == 404


def test_swagger_ui_shows_every_call_and_makes_one(service, page):
    """Swagger UI, under the site's policy, without a complaint of the browser; "Try it out" reaches the service."""
    page.open(f"{service.url}/docs")
    page.wait.until(lambda driver: len(driver.find_elements(By.CSS_SELECTOR, ".opblock")) == len(SUMMARIES))
    for summary in SUMMARIES:
        assert summary in page.text
    page.click("#operations-service-getHealth .opblock-summary-control")
    page.click("#operations-service-getHealth .try-out__btn")
    page.click("#operations-service-getHealth .execute")
    page.wait.until(lambda driver: '"healthy"' in driver.find_element(By.CSS_SELECTOR, ".live-responses-table").text)
    assert page.console() == []


def test_redoc_shows_every_call(service, page):
    """ReDoc, under the site's policy, which keeps back one image and nothing else."""
    page.open(f"{service.url}/redoc")
    page.wait.until(lambda driver: SUMMARIES[-1] in page.text)
    for summary in SUMMARIES:
        assert summary in page.text
    assert [line for line in page.console() if LOGO not in line] == []


def test_pages_get_nothing_from_outside(service, page):
    for path in ("/docs", "/redoc"):
        page.open(f"{service.url}{path}")
        page.wait.until(lambda driver: SUMMARIES[-1] in page.text)
        loaded = page.driver.execute_script(
            "return performance.getEntriesByType('resource').filter(e => e.responseStatus).map(e => e.name)")
        assert f"{service.url}/openapi.json" in loaded
        assert [url for url in loaded if not url.startswith(f"{service.url}/")] == []


# How an answer may leave the document, and a part of what is then said of it.
DEPARTURES = {
    "a field more": ({"body": {"surprise": 1}}, "surprise"),
    "a field less": ({"without": "access_token"}, "'access_token' is a required property"),
    "another type": ({"body": {"stale": "no"}}, "$.stale: "),
    "another form": ({"body": {"expires_at": "tomorrow"}}, "$.expires_at: "),
    "a header less": ({"without_header": "X-Request-Id"}, "the header X-Request-Id is missing"),
    "another media type": ({"headers": {"Content-Type": "text/plain"}}, "media type 'text/plain'"),
    "another status": ({"status": 202}, "the status 202 is not in the document"),
    "another path": ({"path": "/tokens/a/b"}, "has no such call"),
}


@pytest.mark.parametrize("changes", DEPARTURES)
def test_an_answer_outside_the_document_is_found(service, provider, changes):
    """What holds every answer of the tests against the document says nothing of a good one, and can fail."""
    good = service.get(path_of(connected(service, provider)))
    assert list(faults(good)) == []
    change, said = DEPARTURES[changes]
    body = {**good.json(), **change.get("body", {})}
    body.pop(change.get("without"), None)
    headers = httpx.Headers(good.headers)
    headers.update(change.get("headers", {}))
    for name in ("Content-Length", change.get("without_header")):
        headers.pop(name or "", None)
    request = httpx.Request("GET", service.url + change.get("path", good.request.url.path))
    bad = httpx.Response(change.get("status", 200), headers=headers, content=json.dumps(body), request=request)
    assert [fault for fault in faults(bad) if said in fault], list(faults(bad))
