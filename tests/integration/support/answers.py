"""Reading the service's answers, and its workers as a whole."""

from .processes import wait_until

JSON = {"Content-Type": "application/json"}
WIDE = "\U0001f3e2"  # four bytes of UTF-8, one character


def faults_of(response):
    """The fields of a 422, in the order of the answer."""
    assert response.status_code == 422, response.text
    assert response.json()["error"] == "validation_failed"
    return [fault["field"] for fault in response.json()["detail"]]


def answer_of(response):
    """(status, code); the code of a good answer is None."""
    body = response.json()
    return response.status_code, body.get("error")


def all_workers(service):
    """The pids once every worker of the configuration runs."""
    started = service.log_events("started")[-1]
    # One refresher stays for the housekeeping.
    number = started["database_workers"] + started["exchange_workers"] + max(1, started["refreshers"])
    return wait_until(lambda: len(pids := service.worker_pids()) == number and pids, what="all workers run")
