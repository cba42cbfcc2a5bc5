"""scripts/monitoring: the alert rules and the dashboard, by Prometheus itself over a live service."""

import json
import re
import subprocess

import httpx
import pytest

from support import metrics, processes
from support.flow import connect, connect_fast, expire, register
from support.processes import ROOT, wait_until

FOLDER = ROOT / "scripts/monitoring"
RULES = FOLDER / "alerts.yml"
RULE_TESTS = ROOT / "tests/monitoring/alerts_test.yml"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
NAME = re.compile(r"\btoken_service_\w+")


def promtool(*arguments, text=None):
    return subprocess.run(
        ["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, env=processes.plain_environment(),
        timeout=processes.seconds(60), cwd=FOLDER,
    )


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def dashboard_queries():
    """As Grafana sends them with everything selected."""
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert found and all(panel["targets"] for panel in panels())
    return [text.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+") for text in found]


class Prometheus:
    """Scrapes the service every second, with our alert rules; of its own directory, gone with it."""

    def __init__(self, service):
        self.directory = processes.make_directory("web")
        self.port = processes.free_port()
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "token-service", "static_configs": [{"targets": [service.url.split("//")[1]]}]}],
        }
        (self.directory / "prometheus.yml").write_text(json.dumps(config))  # YAML as well
        self._log = open(self.directory / "log", "wb")
        self.process = processes.start(
            ["prometheus", f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            env=processes.plain_environment(), stdout=self._log, stderr=self._log,
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", trust_env=False, timeout=processes.seconds(30))

    def ask(self, path, **params):
        answer = self._http.get(path, params=params)
        assert answer.status_code == 200 and answer.json()["status"] == "success", answer.text
        assert not answer.json().get("warnings"), answer.text
        return answer.json()["data"]

    def query(self, text):
        return self.ask("/query", query=text)["result"]

    def names(self):
        return set(self.ask("/label/__name__/values"))

    def unknown_names(self, text):
        """Which of our metrics that this query reads does the service not show?"""
        return set(NAME.findall(text)) - self.names()

    def alerts(self):
        [group] = self.ask("/rules")["groups"]
        return group["rules"]

    def is_ready(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()
        try:
            return self._http.get(f"http://127.0.0.1:{self.port}/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def has_scraped(self, times):
        result = self.query("min(count_over_time(up[5m])) and min(up) == 1")
        return result and float(result[0]["value"][1]) >= times

    def close(self):
        self._http.close()
        status = processes.stop(self.process)
        text = (self.directory / "log").read_text()
        self._log.close()
        processes.remove_directory(self.directory)
        assert status == 0, text


@pytest.fixture
def prometheus(service):
    prometheus = Prometheus(service)
    try:
        wait_until(prometheus.is_ready, 60, "Prometheus is ready")
        wait_until(lambda: prometheus.has_scraped(1), 60, "the first scrape")
        yield prometheus
    finally:
        prometheus.close()


def whole_flow(service, provider):
    """Something of everything that is counted."""
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    expire(service, client)
    assert service.get(f"/tokens/{client['branch_identifier']}").status_code == 200
    failing = register(service, provider)
    connect_fast(service, provider, failing, expires_in=-10)
    provider.fault("status", status=503)
    assert service.get(f"/tokens/{failing['branch_identifier']}").status_code == 503
    assert service.post(f"/tokens/{client['branch_identifier']}/revoke").status_code == 200


# --- the text format ------------------------------------------------------------------------------


def test_promtool_finds_nothing_to_say_about_the_metrics(service, provider):
    """Names, units, types and help texts are as Prometheus's conventions have them."""
    whole_flow(service, provider)
    text = metrics.read(service).text
    done = promtool("check", "metrics", text=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    spoiled = promtool("check", "metrics", text=text.replace("token_service_requests_total", "token_service_requests"))
    assert spoiled.returncode == 3 and "_total" in spoiled.stdout + spoiled.stderr, "it does say something"


# --- the rules ------------------------------------------------------------------------------------


def test_the_rules_and_the_configuration_are_valid():
    """As promtool reads them, with the example of a configuration that names them."""
    for kind, file in (("rules", RULES), ("config", FOLDER / "prometheus.yml")):
        done = promtool("check", kind, file)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_each_alert_comes_when_it_should_and_not_before(prometheus):
    """promtool's unit tests of the rules have a case for every alert, and all hold."""
    tested = set(re.findall(r"alertname: (\w+)\n", RULE_TESTS.read_text()))
    assert tested == {rule["name"] for rule in prometheus.alerts()}
    done = promtool("test", "rules", RULE_TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_says_how_bad_it_is_and_what_to_do(prometheus):
    """A severity, a summary, and a description that is more than the summary."""
    for rule in prometheus.alerts():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["name"]
        assert rule["annotations"]["summary"], rule["name"]
        assert len(rule["annotations"]["description"]) > 80, rule["name"]


# --- over a live service --------------------------------------------------------------------------


def test_every_query_runs_over_a_live_service(service, provider, prometheus):
    """Without an error, over metrics that the service has; the dashboard's bring a result each, and no alert is up that
    should not be."""
    whole_flow(service, provider)
    metrics.survey(service)
    scraped = float(prometheus.query("max(count_over_time(up[5m]))")[0]["value"][1])
    wait_until(lambda: prometheus.has_scraped(scraped + 4), 60, "a few scrapes")
    for rule in prometheus.alerts():
        wait_until(lambda: not prometheus.unknown_names(rule["query"]), 20, f"the metrics of {rule['name']}")
        assert (rule["health"], rule.get("lastError", "")) == ("ok", ""), rule
        prometheus.query(rule["query"])
    for text in dashboard_queries():
        wait_until(lambda: not prometheus.unknown_names(text), 20, f"the metrics of {text}")
        # After a scrape that failed there is none until the next one.
        wait_until(lambda: prometheus.query(text), 20, f"a result of {text}")
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            assert not prometheus.unknown_names(variable["definition"])
    firing = {rule["name"] for rule in prometheus.alerts() if rule["state"] == "firing"}
    assert not firing & {"TokenServiceDown", "TokenServiceDatabaseUnreachable", "TokenServiceSurveyStale"}
    assert prometheus.unknown_names("rate(token_service_no_such_total[1m])") == {"token_service_no_such_total"}


def test_every_metric_is_shown_or_watched(service):
    """What nobody looks at need not be counted."""
    used = " ".join([*dashboard_queries(), RULES.read_text()])
    names = re.findall(r"^# TYPE (\w+)", metrics.read(service).text, re.M)
    assert [name for name in names if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", used)] == []


def test_the_dashboard_can_be_imported():
    """Panels have ids of their own, do not cover each other, and ask the data source that is chosen."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    for panel in panels():
        assert {part["datasource"]["uid"] for part in (panel, *panel["targets"])} == {"${datasource}"}, panel["title"]
