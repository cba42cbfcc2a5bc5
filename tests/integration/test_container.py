"""The container image, and the compose file that starts it beside its database."""

import contextlib
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time

import pytest
import yaml

from support import container, processes
from support.flow import connect, connected, register, token_row
from support.hosts import in_one_of_three_rounds, make_due
from support.processes import wait_until
from support.sealing import KEY
from support.service import PROGRAM

DOCKER = processes.ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


@pytest.fixture(scope="session")
def image():
    container.build()


@pytest.fixture
def make_container(image):
    made = []

    def make(database):
        made.append(container.Container(database))
        return made[-1]

    yield make
    for each in made:
        each.close()


def shell_blocks():
    return re.findall(r"^```sh\n(.*?)^```$", (processes.ROOT / "README.md").read_text(), re.M | re.S)


def environment(database, provider):
    return {**provider.environment, "DATABASE_URL": database.url, "DATABASE_ADMIN_URL": database.admin_url,
            "SECRET_KEY": KEY, "EXCHANGE_WORKERS": 4}


# --- the compose file -----------------------------------------------------------------------------

PASSWORDS = {"POSTGRES_PASSWORD": "first", "OWNER_PASSWORD": "second", "WORKER_PASSWORD": "third"}


def compose_config(**env):
    """compose.yaml as it is understood with these settings."""
    return subprocess.run(["docker-compose", "-f", DOCKER / "compose.yaml", "config"], capture_output=True, text=True,
                          env=processes.plain_environment(**env))


def test_compose_file_is_valid():
    """By the schema that docker-compose brings, with the passwords alone; each goes to whom it is for."""
    done = compose_config(**PASSWORDS)
    assert done.returncode == 0, done.stderr
    assert "variable is not set" not in done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert {name: services["database"]["environment"][name] for name in PASSWORDS} == PASSWORDS
    assert services["migrate"]["environment"]["PGPASSWORD"] == "second"
    assert services["token-service"]["environment"]["PGPASSWORD"] == "third"


def test_compose_import_reaches_its_source():
    """The original's database is outside: its password and a network that leads there are the migrating container's."""
    done = compose_config(**PASSWORDS, IMPORT_PASSWORD="s3cret")
    services = yaml.safe_load(done.stdout)["services"]
    assert services["migrate"]["environment"]["IMPORT_PASSWORD"] == "s3cret"
    networks = yaml.safe_load(done.stdout)["networks"]
    assert any(not networks[name].get("internal") for name in services["migrate"]["networks"])
    assert "IMPORT_PASSWORD" not in services["token-service"]["environment"]


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("value", [None, ""])
def test_compose_has_no_default_password(name, value):
    """Without one of the passwords nothing starts, and it says which."""
    others = {each: PASSWORDS[each] for each in PASSWORDS if each != name}
    done = compose_config(**others, **({} if value is None else {name: value}))
    assert done.returncode != 0
    assert name in done.stderr


def test_compose_starts_with_what_readme_makes(tmp_path):
    """The lines of README make the passwords and the key, which nobody else may read and git passes over."""
    block = next(each for each in shell_blocks() if "docker/.env" in each)
    (tmp_path / "docker").mkdir()
    subprocess.run(["sh", "-eu", "-c", block.split("docker compose")[0]], cwd=tmp_path, check=True, env=processes.plain_environment())
    made = tmp_path / "docker/.env"
    assert made.stat().st_mode & 0o077 == 0
    settings = dict(line.split("=") for line in made.read_text().split())
    assert settings.keys() == {*PASSWORDS, "SECRET_KEY"}
    assert len(set(settings.values())) == 4 and all(len(value) == 64 for value in settings.values())
    assert compose_config(**settings).returncode == 0
    assert ".env" in (processes.ROOT / ".gitignore").read_text().split()


def test_compose_starts_in_order():
    """Database healthy, then migrations done, then the service; its port is on loopback unless told otherwise."""
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["token-service"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["token-service"]["ports"] == ["${BIND_ADDRESS:-127.0.0.1}:${PORT:-8002}:8002"]
    assert SERVICES["database"].keys().isdisjoint({"ports"})
    assert COMPOSE["networks"]["database"]["internal"] is True
    assert SERVICES["database"]["networks"] == ["database"]


def test_compose_names_files_that_are_there():
    """What it mounts and builds."""
    for volume in SERVICES["database"]["volumes"]:
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] or (DOCKER / source).is_file(), source
    build = SERVICES["migrate"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).is_file()


def test_compose_builds_the_image_once():
    """Two builds of one name at the same time fail ("already exists"), and without pull_policy the other is looked for."""
    assert [name for name, each in SERVICES.items() if "build" in each] == ["migrate"]
    assert SERVICES["token-service"]["image"] == SERVICES["migrate"]["image"]
    assert SERVICES["token-service"]["pull_policy"] == "never"


def test_compose_hands_every_setting_on():
    """What a person sets for the service reaches it: API_AUTH, set in vain, would leave it open."""
    settings = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", (processes.ROOT / ".env.example").read_text(), re.M))
    own = {"HOST", "PORT", "DATABASE_URL", "DATABASE_ADMIN_URL", "DATABASE_EXCHANGE_URL", "DATABASE_PREPARED_STATEMENTS",
           "DATABASE_PLAINTEXT_IN_PRODUCTION"}  # compose.yaml decides, or they have no use there
    assert own < settings
    values = {name: f"set-{name}" for name in settings - own}
    done = compose_config(**PASSWORDS, **values)
    assert done.returncode == 0, done.stderr
    got = yaml.safe_load(done.stdout)["services"]["token-service"]["environment"]
    assert values == {name: got.get(name) for name in values}


@pytest.mark.parametrize("name", ["migrate", "token-service"])
def test_compose_settings_are_good_in_production(name):
    """ENVIRONMENT=production, and what README has one make, are enough: for the service and for "run --rm migrate key create"."""
    done = compose_config(**PASSWORDS, SECRET_KEY=secrets.token_hex(32), ENVIRONMENT="production")
    env = yaml.safe_load(done.stdout)["services"][name]["environment"]
    done = subprocess.run([PROGRAM, "check-config", "--no-database"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_roles_of_the_compose_database(cluster):
    """What the database's image runs first makes both roles, each with its password, and the database."""
    def superuser(sql):
        with contextlib.closing(cluster.connect("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else None

    env = processes.plain_environment(PGHOST=cluster.sockets, PGPORT=5432, OWNER_PASSWORD="owner's \\ one",
                                      WORKER_PASSWORD="another", ROLES_SQL=processes.ROOT / "sql/roles.sql")
    try:
        for _ in range(2):
            done = subprocess.run([DOCKER / "create-roles"], env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        have = dict(superuser("SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'token_service_%'"))
        assert sorted(have) == ["token_service_owner", "token_service_worker"]
        assert all(secret.startswith("SCRAM-SHA-256$") for secret in have.values()), have
        assert superuser("SELECT 1 FROM pg_database WHERE datname = 'token_service'")
    finally:
        superuser("DROP DATABASE IF EXISTS token_service")
        for role in ("token_service_owner", "token_service_worker"):
            superuser(f"ALTER ROLE {role} PASSWORD NULL")


# --- the image ------------------------------------------------------------------------------------

def test_image_is_lean(image, make_database, make_container):
    """An ordinary user, a health check, and nothing that only the build needs or that a checkout keeps for itself."""
    config = container.inspect()
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "token-service-container", "healthy"]
    assert "8002/tcp" in config["ExposedPorts"]
    assert not [word for word in config["Env"] if "SECRET" in word or "DATABASE" in word]
    box = make_container(make_database())
    assert box.run("version").stdout.startswith("token-service ")
    for_the_build = "command -v gcc make npm node autoconf; ls -d /source /build /usr/share/token-service/.env"
    found = box.run("-c", f"id -u; {for_the_build}", entrypoint="/bin/sh")
    assert found.stdout.split() == ["10001"], found.stdout


def test_image_alone(make_database, make_container, provider):
    """With a database's address and nothing else it migrates, serves the whole flow, and writes nowhere else."""
    database = make_database(migrated=False)
    service = make_container(database)
    service.start(environment(database, provider))
    client = register(service, provider)
    assert connect(service, provider, client).status_code == 200
    answer = service.get(f"/tokens/{client['branch_identifier']}")
    assert answer.status_code == 200 and answer.json()["access_token"] == token_row(service, client, "access_token")[0]
    for path in ("/docs", "/redoc", "/openapi.json", "/static/swagger-ui-bundle.js", "/static/redoc.standalone.js"):
        assert service.get(path).status_code == 200, path
    assert service.execute("token-service-container", "healthy").returncode == 0
    wait_until(lambda: re.search(r'^\{.*"path":"/docs".*\}$', service.output(), re.M),
               what="nginx's access log comes out of the container")
    with database.cluster.stopped():
        wait_until(lambda: service.execute("token-service-container", "healthy").returncode != 0, 60, "it is unhealthy")
    wait_until(lambda: service.execute("token-service-container", "healthy").returncode == 0, 60, "it is healthy again")
    service.signal("TERM")
    assert service.wait_exit() == 0, service.output()


def test_image_beside_its_migrations(make_database, make_container, provider):
    """As in the compose file: one container migrates, the service's has the workers' role alone."""
    database = make_database(migrated=False)
    settings = {**environment(database, provider), "MIGRATE": "off"}
    settings.pop("DATABASE_ADMIN_URL")
    done = make_container(database).run("migrate", env={"DATABASE_URL": database.admin_url})
    assert done.returncode == 0, done.stderr
    done = make_container(database).run("key", "create", "--role", "admin", "--label", "test",
                                        env={"DATABASE_URL": database.admin_url})
    assert done.returncode == 0, done.stderr
    service = make_container(database)
    service.start({**settings, "API_AUTH": "required"})
    assert service.get("/clients").status_code == 401
    assert service.get("/clients", headers={"Authorization": f"Bearer {done.stdout.strip()}"}).status_code == 200


def test_image_below_a_path_is_healthy(make_database, make_container, provider):
    """Whatever NGINX_OPTIONS say, the health check asks where nginx listens."""
    database = make_database()
    service = make_container(database)
    service.start({**environment(database, provider), "NGINX_OPTIONS": "--path-prefix /tokens-api"}, "/tokens-api/health")
    done = service.execute("token-service-container", "healthy")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("victim", ["nginx", "token-service"])
def test_container_ends_with_either(make_database, make_container, provider, victim):
    """Neither nginx nor the service is left alone: the container ends, and its restart policy has its turn."""
    database = make_database()
    service = make_container(database)
    service.start(environment(database, provider))
    found = service.execute("sh", "-c", "for d in /proc/[0-9]*; do read -r n < $d/comm; echo ${d#/proc/} $n; done")
    oldest = min(int(line.split()[0]) for line in found.stdout.splitlines() if line.split()[1] == victim)
    service.execute("bash", "-c", f"kill -KILL {oldest}")  # its status may be lost with the container
    assert service.wait_exit() not in (0, None)


@pytest.mark.parametrize("env, said", [
    ({"MIGRATE": "perhaps"}, "MIGRATE"), ({"NGINX_OPTIONS": "--no-such 1"}, "--no-such"), ({"PORT": "x"}, "PORT"),
    ({"GOOGLE_TIMEOUT_MS": "soon"}, "GOOGLE_TIMEOUT_MS"), ({"REFRESHERS": "many"}, "REFRESHERS"),
])
def test_wrong_settings_end_it(make_database, make_container, provider, env, said):
    """With status 2 and a line that names the fault, also where only the service finds it."""
    database = make_database()
    done = make_container(database).run("serve", env={**environment(database, provider), **env})
    assert done.returncode == 2
    assert said.lower() in done.stderr.lower(), done.stderr


@contextlib.contextmanager
def slow_caller(service):
    """Whose body never ends: nginx does not finish with it by itself."""
    over = threading.Event()

    def dribble(connection):
        with contextlib.suppress(OSError):
            while not over.wait(1):
                connection.sendall(b" ")

    with socket.create_connection(("127.0.0.1", service.port), processes.seconds(60)) as connection:
        connection.sendall(b"POST /clients HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: 1000\r\n\r\n")
        thread = threading.Thread(target=dribble, args=(connection,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def test_container_stops_within_one_deadline(make_database, make_container, provider):
    """Twice GOOGLE_TIMEOUT_MS and 6 s for nginx and the service together, whoever holds nginx up; and a refresh that
    begins meanwhile ends well."""
    timeout_s = 6

    def play():
        service = make_container(make_database())
        service.start({**environment(service.database, provider), "GOOGLE_TIMEOUT_MS": timeout_s * 1000, "REFRESHERS": "1"})
        client = connected(service, provider)
        sent = len(provider.refreshes())
        provider.fault("delay", ms=4000)
        with slow_caller(service):
            make_due(service, client, seconds_ago=-(timeout_s + 1))
            begun = time.monotonic()
            service.signal("TERM")
            assert service.wait_exit() == 0, service.output()
            took = time.monotonic() - begun
        provider.clear_faults()
        if len(provider.refreshes()) == sent:
            return "the refresh, which did not begin in time"
        [error, grant] = service.database.one("SELECT refresh_error, grant_version FROM tokens")
        assert (error, grant) == (None, 2), service.output()
        return took > processes.seconds(2 * timeout_s + 6) and f"the stop, which took {took:.1f} s"

    in_one_of_three_rounds(play)


def test_compose_waits_for_the_longest_stop():
    """That of the greatest GOOGLE_TIMEOUT_MS: whom the engine kills in a refresh loses the grant."""
    [limit] = re.findall(r"OPT_MSEC\(GOOGLE_TIMEOUT_MS, \w+, \d+, (\d+)", (processes.ROOT / "src/base/config.c").read_text())
    assert int(SERVICES["token-service"]["stop_grace_period"].removesuffix("s")) > 2 * int(limit) / 1000 + 7


def test_hup_reads_the_settings_again(make_database, make_container, provider):
    """More than once, and the container goes on."""
    service = make_container(make_database())
    service.start(environment(service.database, provider))
    for times in (1, 2):
        service.signal("HUP")
        processes.wait_until(lambda: service.output().count('"event":"reloaded"') == times, 60, f"reloaded {times} times")
        assert service.get("/health").status_code == 200


def test_tools_are_there():
    """The rest of this file cannot run without them."""
    for name in ("buildah", "podman", "runc", "debootstrap", "docker-compose"):
        assert shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin"), name
