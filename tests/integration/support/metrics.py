"""Reading GET /metrics."""

import re

from .processes import wait_until

SAMPLE = re.compile(r"(token_service_\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
PREFIX = "token_service_"


class Metrics:
    """One answer. Names are without the prefix; a sample that is not there is 0."""

    def __init__(self, text):
        self.text = text
        self.samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.fullmatch(line).groups()
            key = (name.removeprefix(PREFIX), frozenset(LABEL.findall(labels or "")))
            assert key not in self.samples, f"twice: {line}"
            self.samples[key] = float(value)

    def value(self, name, **labels):
        """The sum of the samples that have these labels, and perhaps others."""
        wanted = set(labels.items())
        return sum(value for (each, has), value in self.samples.items() if each == name and wanted <= has)

    def names(self):
        return {name for name, _ in self.samples}

    def labels(self, name, label):
        return {dict(has)[label] for each, has in self.samples if each == name}


def read(service, **kwargs):
    response = service.get("/metrics", **kwargs)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(response.text)


def wait_for(service, condition, what):
    """The first metrics for which condition(metrics) is true."""

    def look():
        metrics = read(service)
        return metrics if condition(metrics) else None

    return wait_until(look, 60, what)


def wait_for_workers(service):
    """Until all are ready: while no exchange worker is, a caller inside the buffer gets its token without a refresh."""
    wait_for(service, lambda now: now.value("workers_ready") == now.value("workers_configured"), "all workers are ready")


def survey(service):
    """Metrics with a survey of the database that began after this call."""
    begun = service.database.one("SELECT extract(epoch FROM clock_timestamp())::float")[0]
    # One that was under way has its time from its end, which comes late on a machine that stands still. Within the interval, of
    # 10 s, nobody asks again: what was taken so much later is new.
    return wait_for(service, lambda metrics: metrics.value("survey_timestamp_seconds") > begun + 3, "a new survey")
