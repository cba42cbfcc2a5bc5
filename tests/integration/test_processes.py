"""Master and workers: what happens when they end, are told to, or are started with a wrong configuration."""

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import threading
from datetime import datetime

import pytest

from support import processes, raw
from support.answers import all_workers
from support.flow import Browser, connected, expire, path_of, query, register, registration, token_row
from support.hosts import PATIENT, timed, unexcused
from support.processes import wait_until
from support.sealing import KEY, SEALS
from support.service import PROGRAM, WRAPPER

GOOD_URL = "postgresql://token_service_worker@/token_service?host=/nowhere"


def run(*arguments, env=None, **options):
    """The program to its end, with nothing but env in its environment."""
    return subprocess.run(
        [*WRAPPER, PROGRAM, *map(str, arguments)], env=processes.plain_environment(**(env or {})),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=processes.seconds(60), **options,
    )


def check_config(env_file=None, **env):
    return run("check-config", "--no-database", *(["--env-file", env_file] if env_file else []), env=env)


class Stream:
    """Calls one after the other in threads of their own until the block ends; .answers has all of them, as timed()."""

    def __init__(self, calls):
        self.answers = []
        self.faults = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(call,)) for call in calls]

    def _run(self, call):
        try:
            while not self._stopping.is_set():
                self.answers.append(timed(call))
        except Exception as error:  # whatever it is, the test has to fail
            self.faults.append(error)

    def good(self):
        """The answers that are none of an error."""
        return [answer for _, _, answer in self.answers if answer.status_code in (200, 201)]

    def wait_for(self, more):
        """Until so many further good answers are there."""
        enough = len(self.good()) + more
        wait_until(lambda: self.faults or len(self.good()) >= enough, 60, f"{more} further good answers")

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        assert not self.faults, self.faults[0]


# --- a worker ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", ["database", "exchange"])
def test_killed_worker_is_replaced(make_service, provider, pool):
    """The only worker of a pool dies: calls go on as soon as the next one is there, and the others stay."""
    service = make_service({f"{pool.upper()}_WORKERS": "1"})
    client = connected(service, provider)
    before = all_workers(service)
    [victim] = service.worker_pids(pool)
    os.kill(victim, signal.SIGKILL)
    [successor] = wait_until(lambda: (now := service.worker_pids(pool)) and now != [victim] and now)
    assert service.get(path_of(client)).status_code == 200
    assert service.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200
    assert set(all_workers(service)) == set(before) - {victim} | {successor}
    [event] = service.log_events("worker killed")
    assert (event["pool"], event["pid"], event["signal"]) == (pool, victim, signal.SIGKILL)


def seconds_of(event):
    return datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()


def test_worker_that_dies_again_and_again_is_restarted_ever_later(make_service):
    """100 ms at first, doubling: a worker that cannot live must not take the machine with it."""
    service = make_service({"EXCHANGE_WORKERS": "1"})
    all_workers(service)
    killed = []
    for _ in range(5):
        [pid] = wait_until(lambda: (now := service.worker_pids("exchange")) and now[0] not in killed and now)
        killed.append(pid)
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(service.log_events("worker killed")) == 5 and service.worker_pids("exchange"))
    starts = [event for event in service.log_events("worker started") if event["pool"] == "exchange"]
    deaths = service.log_events("worker killed")
    pauses = [seconds_of(start) - seconds_of(death) for death, start in zip(deaths, starts[1:])]
    # They are never shorter; a busy machine may make them longer.
    assert all(pause > 0.095 * 2**number for number, pause in enumerate(pauses)), pauses
    assert service.get("/health").status_code == 200


def test_worker_killed_in_the_middle_of_a_refresh_loses_no_grant(make_service, provider):
    """Its lock ends with it: the next caller, on the other host, refreshes; the caller it had gets a 503."""
    hosts = [make_service({"EXCHANGE_WORKERS": "1", **PATIENT}) for _ in range(2)]
    client = connected(hosts[0], provider, expires_in=-10)
    provider.fault("hold")
    interrupted = hosts[0].start("GET", path_of(client))
    provider.wait_for_requests(1, grant_type="refresh_token")
    [victim] = hosts[0].worker_pids("exchange")
    waiting = hosts[1].start("GET", path_of(client))
    wait_until(
        lambda: hosts[0].database.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > (0,),
        what="the other host's caller waits for the lock",
    )
    assert not waiting.done()
    os.kill(victim, signal.SIGKILL)
    answer = waiting.result()
    assert answer.status_code == 200, answer.text
    assert provider.works(answer.json()["access_token"])
    lost = interrupted.result()
    assert (lost.status_code, lost.json()["error"]) == (503, "overloaded")
    again = wait_until(lambda: (got := hosts[0].get(path_of(client))).status_code == 200 and got)
    assert again.json()["access_token"] == answer.json()["access_token"]
    assert token_row(hosts[0], client, "is_valid, is_revoked") == (True, False)
    assert hosts[1].post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200


# --- the master is told to end ----------------------------------------------------------------------


@pytest.mark.memcheck
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_lets_requests_finish(make_service, provider, number):
    """A call that waits for the provider is answered, stored, and then the service is gone, with status 0."""
    service = make_service(PATIENT)
    client = connected(service, provider)
    provider.fault("hold")
    reply = service.start("POST", "/tokens/refresh", json={"client_id": client["client_id"]})
    provider.wait_for_requests(1, grant_type="refresh_token")
    service.terminate(number)
    wait_until(lambda: service.log_events("stopping"))
    assert not reply.done()
    provider.release()
    answer = reply.result()
    assert answer.status_code == 200, answer.text
    assert service.wait_exit() == 0
    assert not processes.processes_of_instance(service.instance, service.socket_dir)
    assert list(service.socket_dir.iterdir()) == []
    assert token_row(service, client, "access_token") == (answer.json()["access_token"],)
    assert provider.works(answer.json()["access_token"])
    late = service.get(path_of(client))
    assert (late.status_code, late.json()["error"]) == (503, "overloaded")
    assert [event["event"] for event in service.log_events("stopping", "stopped")] == ["stopping", "stopped"]


def test_stopping_an_idle_service_needs_no_signal_but_one(service):
    """Nothing to finish: it ends by itself, also when nginx still has connections open to it."""
    for _ in range(5):
        assert service.get("/health").status_code == 200
    service.terminate()
    assert service.wait_exit() == 0
    assert not service.log_events("worker killed", "worker failed", "worker past its deadline")


def test_stopped_twice_is_stopped_once(make_service, provider):
    """A second SIGTERM cuts nothing short."""
    service = make_service(PATIENT)
    client = connected(service, provider)
    provider.fault("hold")
    reply = service.start("POST", "/tokens/refresh", json={"client_id": client["client_id"]})
    provider.wait_for_requests(1, grant_type="refresh_token")
    for _ in range(3):
        service.terminate()
    wait_until(lambda: service.log_events("stopping"))
    service.terminate()
    provider.release()
    assert reply.result().status_code == 200
    assert service.wait_exit() == 0


def test_killed_master_takes_its_workers_along(service, provider):
    """Nobody is left that serves old settings, and what is left of the sockets does not stop the next start."""
    client = connected(service, provider)
    all_workers(service)
    service.expected_exit = None
    service.terminate(signal.SIGKILL)
    assert service.wait_exit() == -signal.SIGKILL
    wait_until(lambda: not processes.processes_of_instance(service.instance, service.socket_dir), what="the workers are gone")
    assert sorted(path.name for path in service.socket_dir.iterdir()) == ["database.sock", "exchange.sock"]
    assert service.get(path_of(client)).status_code == 503
    service.start_master()
    service.expected_exit = 0
    wait_until(lambda: service.get(path_of(client)).status_code == 200, what="the new master's workers serve")
    assert service.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 200


def test_second_master_on_the_same_sockets_is_refused(service):
    """It says where and what to do, ends with 2, and takes nothing from the first one."""
    before = all_workers(service)
    second = run("serve", "--socket-dir", service.socket_dir, env={"DATABASE_URL": service.database.url, "SECRET_KEY": KEY})
    assert second.returncode == 2
    [line] = second.stderr.splitlines()
    assert str(service.socket_dir) in line and "--socket-dir" in line
    assert service.worker_pids() == before
    assert service.get("/health").status_code == 200


def test_socket_directory_that_cannot_be_used_is_refused(tmp_path):
    """Missing parent, a file in its place, too long for a socket: a line that names it, and exit 2."""
    (tmp_path / "file").write_text("")
    for directory in (tmp_path / "no" / "parent", tmp_path / "file", tmp_path / ("x" * 120)):
        # The database that is away is a warning before it.
        done = run("serve", "--socket-dir", directory, env={"DATABASE_URL": GOOD_URL, "LOG_LEVEL": "ERROR"})
        assert done.returncode == 2, directory
        assert str(directory) in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_sockets_are_for_owner_and_group_only(service):
    """Who may open them may send anything: the world may not."""
    for pool in ("database", "exchange"):
        assert (service.socket_dir / f"{pool}.sock").stat().st_mode & 0o777 == 0o660


# --- SIGHUP -----------------------------------------------------------------------------------------


def test_reload_changes_settings_and_loses_no_request(make_service, provider):
    """Under a constant stream of calls workers are replaced three times: every call is answered 200 or 201."""
    service = make_service(PATIENT, rate_limit=10000)  # a quick machine registers more than the usual limit lets through
    client = connected(service, provider)
    refreshed = connected(service, provider)
    body = {"client_id": refreshed["client_id"]}
    calls = [
        lambda: service.get(path_of(client)),
        lambda: service.get(path_of(client)),
        lambda: service.post("/tokens/refresh", json=body),
        lambda: service.post("/clients", json=registration(service)),
        lambda: service.patch(f"/clients/{client['client_id']}", json={"workspace_name": "new"}),
        lambda: service.get("/clients?limit=5"),
    ]
    with Stream(calls) as stream:
        for number in range(3):
            stream.wait_for(30)
            before = set(service.worker_pids())
            service.reload({"GOOGLE_AUTH_URL": f"{provider.url}/auth?reload={number}", "DATABASE_WORKERS": number + 1})
            stream.wait_for(30)
            wait_until(lambda: before.isdisjoint(service.worker_pids()), 60, "the old workers have left")
            # The old workers are gone: a database that stands still is all that may be in the way.
            login = wait_until(lambda: (answer := service.get(client["login_url"])).status_code != 503 and answer)
            assert login.headers["location"].startswith(f"{provider.url}/auth?reload={number}&")
            assert len(service.worker_pids("database")) == number + 1
    failed = [answer.text for answer in unexcused(stream.answers, len(calls))]
    assert not failed, f"{len(failed)} of {len(stream.answers)}: {failed[:3]}"
    assert len(stream.good()) > 150


def test_reload_lets_a_refresh_finish(make_service, provider):
    """The old worker stays until the provider has answered; the new ones serve meanwhile."""
    service = make_service(PATIENT)
    client, other = connected(service, provider), connected(service, provider)
    before = set(all_workers(service))
    provider.fault("hold")
    reply = service.start("POST", "/tokens/refresh", json={"client_id": client["client_id"]})
    provider.wait_for_requests(1, grant_type="refresh_token")
    service.reload()
    wait_until(lambda: len(before & set(service.worker_pids())) == 1, what="all old workers but one have left")
    assert service.post("/tokens/refresh", json={"client_id": other["client_id"]}).status_code == 200
    assert not reply.done()
    provider.release()
    assert reply.result().status_code == 200
    wait_until(lambda: before.isdisjoint(service.worker_pids()), what="the last old worker has left")


def test_reload_of_a_wrong_configuration_changes_nothing(service, provider):
    """The faults are in the log; the workers of the good configuration go on."""
    client = connected(service, provider)
    before = all_workers(service)
    service.reload({"REFRESH_WAIT_MS": "soon", "LOG_LEVEL": "LOUD"})
    assert service.worker_pids() == before
    assert service.get(path_of(client)).status_code == 200
    text = service.stderr()
    assert re.search(r"^REFRESH_WAIT_MS: ", text, re.M) and re.search(r"^LOG_LEVEL: ", text, re.M)
    assert service.log_events("reload refused: the configuration has faults, the old one stays")
    service.reload({"REFRESH_WAIT_MS": "1000", "LOG_LEVEL": "DEBUG"})
    wait_until(lambda: set(before).isdisjoint(service.worker_pids()), what="the next good one is taken")
    assert service.get(path_of(client)).status_code == 200


# --- the database's connections end -----------------------------------------------------------------


def test_database_connections_that_end_under_load_cause_no_wrong_answer(make_service, provider):
    """Two hosts lose one connection after the other: each answer is right or a 503, and it heals by itself."""
    env = {"EXCHANGE_WORKERS": "2", "GOOGLE_TIMEOUT_MS": PATIENT["GOOGLE_TIMEOUT_MS"]}
    hosts = [make_service(env, rate_limit=10000) for _ in range(2)]
    database = hosts[0].database
    clients = [connected(hosts[0], provider) for _ in range(3)]
    of_path = {path_of(client): client for client in clients} | {"/tokens/refresh": clients[2]}
    forced = {"client_id": clients[2]["client_id"]}
    calls = [lambda host=host, path=path_of(client): host.get(path) for host, client in itertools.product(hosts, clients)]
    calls += [lambda host=host: host.post("/tokens/refresh", json=forced) for host in hosts]
    calls.append(lambda: hosts[0].post("/clients", json=registration(hosts[0])))
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename = 'token_service_worker' ORDER BY random() LIMIT 1) victim"
    )
    terminated = 0
    with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor, Stream(calls) as stream:
        while terminated < 25:
            cursor.execute(terminate)
            terminated += cursor.rowcount
            stream.wait_for(10)
    for answer in unexcused(stream.answers, len(calls)):
        assert (answer.status_code, answer.json()["error"]) in [(503, "database_unavailable"), (503, "refresh_in_progress")], answer.text
    for answer in stream.good():
        if client := of_path.get(answer.request.url.path):
            body = answer.json()
            assert (body["client_id"], body["branch_id"]) == (client["client_id"], client["branch_identifier"])
    for answer in stream.good()[-20:]:
        if of_path.get(answer.request.url.path) in clients[:2]:
            assert provider.works(answer.json()["access_token"])
    assert len(stream.good()) >= 250
    for host, client in itertools.product(hosts, clients):
        wait_until(lambda h=host, c=client: h.get(path_of(c)).status_code == 200, what="it recovers by itself")
        body = {"client_id": client["client_id"]}
        wait_until(lambda h=host, b=body: h.post("/tokens/refresh", json=b).status_code == 200, what="so do refreshes")
    for client in clients:
        token = hosts[1].get(path_of(client)).json()["access_token"]
        assert provider.works(token)
        assert hosts[0].get(path_of(client)).json()["access_token"] == token
    assert not any(host.log_events("worker killed", "worker failed") for host in hosts)


# --- configuration ----------------------------------------------------------------------------------

# A wrong value, and what the line has to say about the allowed ones.
WRONG = [
    ("ALLOWED_ORIGINS", "*", "https://app.example.com"),
    ("API_AUTH", "maybe", "off or required"),
    ("API_AUTH_OFF_IN_PRODUCTION", "on", "refuse or accept"),
    ("DATABASE_PLAINTEXT_IN_PRODUCTION", "yes", "refuse or accept"),
    ("DATABASE_PREPARED_STATEMENTS", "no", "off or on"),
    ("DATABASE_WORKERS", "0", "1 to 64"),
    ("DATABASE_WORKERS", "65", "1 to 64"),
    ("ENVIRONMENT", "staging", "development or production"),
    ("EXCHANGE_WORKERS", "many", "1 to 256"),
    ("EXCHANGE_WORKERS", "257", "1 to 256"),
    ("GOOGLE_AUTH_URL", "accounts.example.test", "http:// or https://"),
    ("GOOGLE_AUTH_URL", "https://accounts.example.test/#fragment", "without a fragment"),
    ("GOOGLE_ISSUER", "ftp://accounts.example.test", "http:// or https://"),
    ("GOOGLE_REVOKE_URL", "https://", "http:// or https://"),
    ("GOOGLE_SCOPE", " ", "://"),
    ("GOOGLE_TIMEOUT_MS", "499", "500 to 60000"),
    ("GOOGLE_TIMEOUT_MS", "10s", "500 to 60000"),
    ("GOOGLE_TOKEN_URL", "https://accounts.example.test/a b", "http:// or https://"),
    ("LOGIN_TICKET_TTL", "59", "60 to 2592000"),
    ("LOG_FORMAT", "xml", "json or text"),
    ("LOG_LEVEL", "LOUD", "DEBUG or INFO or WARNING or ERROR"),
    ("PORT", "0", "1 to 65535"),
    ("PORT", "65536", "1 to 65535"),
    ("PORT", "99999999999999999999", "1 to 65535"),
    ("PORT", "0x50", "1 to 65535"),
    ("REFRESHERS", "-1", "0 to 64"),
    ("REFRESH_AHEAD", "1.5", "0 to 3000"),
    ("REFRESH_WAIT_MS", "99", "100 to 60000"),
    ("STATE_TTL", "29", "30 to 86400"),
    ("TOKEN_EXPIRY_BUFFER", "3001", "0 to 3000"),
    ("TOKEN_EXPIRY_BUFFER", "-1", "0 to 3000"),
    ("VERIFY_WORKSPACE_EMAIL", "yes", "off or on"),
]


@pytest.mark.parametrize("name, value, allowed", WRONG, ids=[f"{name}={value}" for name, value, _ in WRONG])
def test_wrong_setting_is_named_with_what_is_allowed(name, value, allowed):
    """One line: the variable, its value, what would be right; exit 2."""
    done = check_config(DATABASE_URL=GOOD_URL, **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"{name}: ") and f"'{value}'" in line and allowed in line, line


def test_every_setting_has_a_wrong_value_here():
    """An option that is added needs a row above; free texts have no wrong value, and those of secrets are not shown."""
    listed = set(re.findall(r"^  ([A-Z][A-Z_]+) ", run("check-config", "--help").stdout, re.M))
    secret = {"DATABASE_ADMIN_URL", "DATABASE_EXCHANGE_URL", "DATABASE_URL", "SECRET_KEY", "SECRET_KEY_PREVIOUS"}
    assert listed - secret - {"GOOGLE_CA_FILE"} == {name for name, _, _ in WRONG}


def test_all_wrong_settings_are_named_at_once(tmp_path):
    """A line for each, no matter how many; and nothing starts."""
    wrong = {name: value for name, value, _ in WRONG}
    for command in (["check-config"], ["serve", "--socket-dir", tmp_path / "s"]):
        done = run(*command, env=wrong)
        assert done.returncode == 2
        names = [line.partition(":")[0] for line in done.stderr.splitlines()]
        assert sorted(names) == sorted([*wrong, "DATABASE_URL"])
    assert not (tmp_path / "s").exists()


def test_good_settings_are_said_to_be_good():
    """The database's URL alone is enough; empty means unset."""
    assert check_config(DATABASE_URL=GOOD_URL).returncode == 0
    done = check_config(DATABASE_URL="host=/nowhere dbname=x", LOG_LEVEL="", PORT="", GOOGLE_ISSUER="", LOG_FORMAT="TEXT")
    assert (done.returncode, done.stderr) == (0, "")
    assert check_config(DATABASE_URL="postgresql+psycopg2://u:p@db.example.test:5432/x").returncode == 0
    url = "postgresql://u@a.example.test,b.example.test/x?target_session_attrs=read-write"
    assert check_config(DATABASE_URL=url).returncode == 0


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:hunter2@host/db", "postgresql://u:hunter2@host:port/db",
                                 "host=x password=hunter2 surprise", "postgresql://u:hunter2@host/db?no_such=1"])
def test_wrong_database_url_is_refused_without_its_password(url):
    """DATABASE_URL is named, its value is not printed."""
    done = check_config(DATABASE_URL=url)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("DATABASE_URL: ")
    assert "hunter2" not in line


def test_password_of_the_database_is_never_printed(make_service):
    """Neither when the database refuses it, nor when it cannot be reached, nor with a wrong configuration."""
    urls = [
        "postgresql://nobody:hunter2@localhost:1/nowhere",
        "host=/nowhere user=nobody password=hunter2",
        "postgresql://nobody:hunter2@no-such-host.invalid/nowhere?connect_timeout=2",
    ]
    for url in urls:
        service = make_service({"DATABASE_URL": url})
        assert service.get("/health").status_code == 503
        assert service.post("/tokens/refresh", json={"branch_id": "b"}).status_code == 503
        service.reload({"PORT": "wrong"})
        wait_until(lambda: service.log_events("database unavailable"), what="it is logged, a moment after the answer")
        assert "hunter2" not in service.stderr() + service.nginx_error_log()
    assert "hunter2" not in check_config(DATABASE_URL=urls[0], PORT="wrong").stderr


ENV_FILE = """
# a comment
   # another one, after spaces

LOG_LEVEL=ERROR
PORT = 8080
export_is_no_keyword=1
LOG_FORMAT="text"
ENVIRONMENT='development'
GOOGLE_SCOPE="openid email"
GOOGLE_ISSUER=https://example.test/#no-comment-here
STATE_TTL=60
STATE_TTL=90
EMPTY=
DATABASE_URL="host=/nowhere password='it\\'s # $HOME \\\\ `id`'"
"""


def test_env_file_is_read_as_it_is_documented(tmp_path):
    """Comments are whole lines, one pair of quotes is taken off, the last line wins, nothing is expanded."""
    path = tmp_path / "env"
    path.write_text(ENV_FILE.replace("#no-comment-here", "no-fragment"))
    done = check_config(path)
    assert (done.returncode, done.stderr) == (0, "")
    # What stands behind a value belongs to it.
    path.write_text(ENV_FILE)
    done = check_config(path)
    assert done.returncode == 2 and done.stderr.startswith("GOOGLE_ISSUER: 'https://example.test/#no-comment-here'")
    path.write_text(f"DATABASE_URL={GOOD_URL}\nPORT=8080 # the usual\n")
    assert check_config(path).stderr.startswith("PORT: '8080 # the usual'")
    path.write_text(f'DATABASE_URL={GOOD_URL}\r\nPORT="8080"\r\nLOG_LEVEL=\'INFO\'\r\n')
    assert check_config(path).returncode == 0
    path.write_text(f"DATABASE_URL={GOOD_URL}\nPORT='8080\"\n")
    assert check_config(path).stderr.startswith("PORT: ''8080\"'")


@pytest.mark.parametrize("line", ["PORT", "= 1", "PO RT=1", "export PORT=1", "a-b=1", "\x01"])
def test_bad_line_of_an_env_file_is_named(tmp_path, line):
    """With its number and the file's name, and nothing of what it holds: it may be a secret."""
    path = tmp_path / "env"
    path.write_text(f"# first\nDATABASE_URL={GOOD_URL}\n{line}\nhunter2\n")
    done = check_config(path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert all(str(path) in text for text in done.stderr.splitlines())
    assert "line 3" in done.stderr and "line 4" in done.stderr
    assert "hunter2" not in done.stderr


def test_env_file_that_cannot_be_read_is_named(tmp_path):
    """Missing, a directory, or too large: exit 2, and the reason."""
    (tmp_path / "large").write_text("#" * 70000)
    for path in (tmp_path / "missing", tmp_path, tmp_path / "large"):
        done = check_config(path)
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert line.startswith(f"{path}: ")


def test_environment_wins_over_the_file(tmp_path):
    """A wrong value in the file does no harm beside a good one in the environment, and the other way round."""
    path = tmp_path / "env"
    path.write_text(f"DATABASE_URL={GOOD_URL}\nPORT=wrong\n")
    assert check_config(path).returncode == 2
    assert check_config(path, PORT="8080").returncode == 0
    path.write_text(f"DATABASE_URL={GOOD_URL}\nPORT=8080\n")
    assert check_config(path, PORT="wrong").stderr.startswith("PORT: 'wrong'")


# --- the command line -------------------------------------------------------------------------------


def test_help_of_every_command():
    """--help tells on standard output what there is, with exit 0."""
    overview = run("--help")
    assert (overview.returncode, overview.stderr) == (0, "")
    commands = re.findall(r"^  token-service ([a-z-]+)", overview.stdout, re.M)
    assert {"serve", "check-config", "version"} <= set(commands)
    for command in commands:
        done = run(command, "--help")
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.startswith(f"usage: token-service {command}")
        assert run(command, "-h").stdout == done.stdout
    settings = run("serve", "--help").stdout
    assert all(re.search(rf"^  {name} ", settings, re.M) for name, _, _ in WRONG)
    assert run("version").stdout.startswith("token-service ")


WRONG_USAGE = [
    [], ["no-such-command"], ["--no-such-option"], ["serve", "--no-such-option"], ["serve", "--env-file"],
    ["serve", "--socket-dir"], ["serve", "surprise"], ["check-config", "--socket-dir", "/tmp"], ["check-config", "x"],
    ["serve", "--no-database"], ["check-config", "--no-database=x"],
    ["version", "--env-file", "x"], ["version", "x"], ["serve", "-x"], [""], ["SERVE"],
]


@pytest.mark.parametrize("arguments", WRONG_USAGE, ids=[" ".join(words) or "nothing" for words in WRONG_USAGE])
def test_wrong_usage_ends_with_2(arguments):
    """And says something on standard error, nothing on standard output."""
    done = run(*arguments, env={"DATABASE_URL": GOOD_URL})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


# --- what is logged ---------------------------------------------------------------------------------

GOOD_IDS = ["a", "x" * 64, "A.b_c-9", "0", "-", "req-2026.01"]
BAD_IDS = ["", "x" * 65, "a b", "a/b", "é", "<x>", 'a"b', "a,b", "a;b", "%41"]


def test_request_id_is_the_callers_when_it_is_plain(service):
    """It comes back in the header, in errors, in both logs; anything else is replaced by one of our own."""
    for sent in GOOD_IDS:
        answer = service.get("/tokens/nobody", headers={"X-Request-Id": sent})
        assert answer.headers["x-request-id"] == answer.json()["request_id"] == sent
    made = set()
    for sent in BAD_IDS:
        headers = [(b"X-Request-Id", sent.encode())]
        answer = raw.send(service, raw.request(b"GET", b"/tokens/nobody", headers))
        made.add(answer.headers["x-request-id"])
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"]), sent
    assert len(made) == len(BAD_IDS)
    # Either log may have a line a moment after its answer.
    for log in (lambda: service.log_events("request"), service.access_log):
        wait_until(lambda: {line["request_id"] for line in log()} >= made | set(GOOD_IDS))


def test_request_id_goes_along_to_the_exchange_pool(service, provider):
    """Both pools know the call by one name."""
    client = connected(service, provider, expires_in=-10)
    answer = service.get(path_of(client), headers={"X-Request-Id": "one-name"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "one-name")
    assert answer.headers.get_list("x-request-id") == ["one-name"]

    def routes():
        return [event["route"] for event in service.log_events("request") if event["request_id"] == "one-name"]

    # Either worker writes its line a moment after the answer.
    wait_until(lambda: len(routes()) == 2, what="a line of either pool")
    assert set(routes()) == {"/tokens/{branch_id}"}


def test_access_log_has_no_query(service):
    """Codes and states travel in queries: method, path and status are logged, nothing behind the '?'."""
    targets = ["/tokens/nobody?min_ttl=7&token=hunter2", "/auth/callback?code=hunter2&state=hunter2", "/?hunter2", "/x%zz?hunter2",
               "/oauth/login/1?hunter2", "/tokens/%00?hunter2", "/" + "x" * 9000 + "?hunter2"]
    for target in targets:
        assert raw.send(service, raw.request(b"GET", target.encode())) is not None
    text = service.nginx.whole_access_log()
    assert {"/tokens/nobody", "/auth/callback", "/", "/oauth/login/1"} <= {line["path"] for line in service.access_log()}
    assert "hunter2" not in text and "?" not in text
    assert "hunter2" not in service.stderr()


def secrets_of_a_flow(service, provider):
    """Everything that goes well and everything that fails; what must stay secret of all that."""
    client = register(service, provider, client_id=(oauth := provider.client())[0], client_secret=oauth[1])
    secrets = {"client_secret": oauth[1]}
    with Browser(service) as browser:
        for number, action in enumerate(["allow", "deny", "allow-less", "allow"]):
            consent = browser.login(client)
            secrets[f"state {number}"] = query(consent)["state"]
            secrets[f"challenge {number}"] = query(consent)["code_challenge"]
            secrets[f"verifier {number}"] = SEALS.verifiers(service.database)[-1]
            callback = browser.consent(consent, action)
            secrets[f"code {number}"] = query(callback).get("code", secrets["client_secret"])
            if number == 3:
                provider.fault("status", status=500, body={"access_token": "hunter2", "error": "server_error"})
            answer = browser.callback(callback)
            if answer.status_code == 200:
                secrets["access_token"] = answer.json()["access_token"]
            # Again, with what is used up.
            assert browser.callback(callback).status_code == 400
        secrets["cookie"] = browser.http.cookies["token_service_login"]
    secrets["refresh_token"] = token_row(service, client, "refresh_token")[0]
    secrets["refreshed"] = service.post("/tokens/refresh", json={"client_id": client["client_id"]}).json()["access_token"]
    service.database.execute("UPDATE tokens SET refresh_began_at = now() - interval '1 hour'")
    provider.fault("status", status=400, body={"error": "hunter2 " + secrets["refresh_token"]})
    assert service.post("/tokens/refresh", json={"client_id": client["client_id"]}).status_code == 502
    expire(service, client)
    service.database.execute("UPDATE tokens SET refresh_retry_at = NULL")
    provider.fault("oauth_error", error="invalid_grant", error_description="token hunter2")
    assert service.get(path_of(client)).status_code == 409
    service.patch(f"/clients/{client['client_id']}", json={"client_secret": "hunter2"})
    service.post("/clients", json=registration(service, client_secret="hunter2", branch_id="a/b"))
    service.post("/clients", content=b'{"client_secret": "hunter2"', headers={"Content-Type": "application/json"})
    service.get("/tokens/nobody", headers={"Authorization": "Bearer hunter2", "Cookie": "token_service_login=hunter2"})
    return {**secrets, "anything": "hunter2"}


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_logs_hold_no_secret(make_service, provider, log_format):
    """The whole flow at DEBUG, its failures too: no token, code, state, secret or cookie in any log."""
    service = make_service({"LOG_FORMAT": log_format})
    secrets = secrets_of_a_flow(service, provider)
    # nginx alone answers now, and has something to complain about.
    service.terminate()
    assert service.wait_exit() == 0
    for path in (f"/auth/callback?code={secrets['code 0']}&state={secrets['state 0']}", "/oauth/login/1?x=hunter2"):
        assert service.get(path).status_code == 503
    for target in (f"/auth/callback?code={secrets['code 0']}%zz", "/tokens/%zz?hunter2", f"/auth/callback%00?code={secrets['code 0']}"):
        raw.send(service, raw.request(b"GET", target.encode(), [(b"Cookie", b"token_service_login=hunter2")]))
    logs = {
        "service": service.stderr(), "nginx error log": service.nginx_error_log(),
        "access log": service.nginx.whole_access_log(),
    }
    assert all(len(logs[name].splitlines()) > 20 for name in ("service", "access log"))
    found = [(log, name) for log, text in logs.items() for name, secret in secrets.items() if secret in text]
    assert not found


def test_log_lines_are_whole(service, provider):
    """Several processes write one stream: every line is one JSON object with time, level and event."""
    client = connected(service, provider)
    with Stream([lambda: service.get(path_of(client))] * 8) as stream:
        stream.wait_for(300)
    lines = service.stderr().splitlines()
    assert len(lines) > 300
    for line in lines:
        assert {"time", "level", "event"} <= set(json.loads(line))


def test_log_level_leaves_out_what_is_less_important(make_service, provider):
    """At ERROR nothing is said of a good day; at INFO nothing of each request."""
    quiet, usual = make_service({"LOG_LEVEL": "ERROR"}), make_service({"LOG_LEVEL": "INFO"})
    for service in (quiet, usual):
        client = connected(service, provider)
        assert service.get(path_of(client)).status_code == 200
        service.terminate()
        assert service.wait_exit() == 0
    assert quiet.stderr() == ""
    assert [event["event"] for event in usual.log_events()] == ["started", "stopping", "stopped"]
