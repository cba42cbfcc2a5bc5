"""README.md's commands that no other test runs, as they stand there, and the files that it names."""

import glob
import json
import re
import subprocess

from support import privileged, processes
from support.flow import connect, register, token_row
from support.processes import ROOT, wait_until
from support.site import Authority

README = (ROOT / "README.md").read_text()


def blocks(section, kind="sh"):
    text = re.search(rf"^## {section}\n(.*?)^## ", README, re.M | re.S)[1]
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.M | re.S)


def shell(block, cwd, env=(), **places):
    """Runs it, with these words of it in the place of others."""
    for old, new in places.items():
        assert old in block
        block = block.replace(old, str(new))
    return subprocess.run(["bash", "-eu", "-c", block], cwd=cwd, env=processes.plain_environment(ALLOWED_ORIGINS="", **dict(env)), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=processes.seconds(60))


def test_the_flow_with_curl(service, provider, tmp_path):
    """Register, consent, fetch, refresh; the answer that README shows has these fields, and they are of these types."""
    provider.client("sandbox-client", "sandbox-secret")
    register, fetch, refresh = blocks("The flow")
    [shown] = blocks("The flow", "json")

    def answer(block):
        done = shell(block, tmp_path, **{"http://localhost:8002": service.url})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    client = answer(register)
    assert client["login_url"].startswith(service.url)
    assert connect(service, provider, client).status_code == 200
    first, example = answer(fetch), json.loads(shown)
    assert {name: type(value) for name, value in first.items()} == {name: type(value) for name, value in example.items()}
    same = {"success", "message", "branch_id", "refresh_token", "token_type", "scope", "stale"}
    assert {name: first[name] for name in same} == {name: example[name] for name in same}
    # Of one second there is one token.
    second = wait_until(lambda: ({answer(refresh)["access_token"]} - {first["access_token"]}), 20, "another token")
    assert second == {token_row(service, client, "access_token")[0]}


def test_the_production_site(tmp_path):
    """render-nginx takes the command, and nginx what it writes."""
    authority = Authority(tmp_path)
    [command] = blocks("The production site")
    out, directory = tmp_path / "nginx.conf", tmp_path / "run"
    directory.mkdir()
    done = shell(command, ROOT, **{
        "/etc/token-service/nginx.conf": out, "/var/lib/token-service-nginx": directory, "token-service-web": "daemon",
        "/etc/ssl/tokens/fullchain.pem": authority.site_certificate, "/etc/ssl/tokens/key.pem": authority.site_key,
    })
    assert done.returncode == 0, done.stderr
    # Looking at a configuration opens its ports, 443 among them.
    done = subprocess.run([*privileged.as_root(), "/usr/sbin/nginx", "-t", "-q", "-p", directory, "-c", out, "-e", "stderr"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_audit_trail(service, provider):
    """The owner looks at it and prunes it, by commands in which no password stands."""
    register(service, provider)
    [command] = blocks("The audit trail")
    done = shell(command, ROOT, env={"DATABASE_ADMIN_URL": service.database.admin_url})
    assert done.returncode == 0, done.stderr
    assert "client.registered" in done.stdout and re.search(r"audit_prune.*\n-+\n +0\n", done.stdout)


def test_files_that_readme_names_are_there():
    named = set(re.findall(r"(?<![\w/.-])(?:docker|nginx|scripts|sql|src|tests)/[\w./*\[\]-]*[\w*\]]", README))
    assert len(named) > 40
    assert [name for name in sorted(named) if not glob.glob(name, root_dir=ROOT)] == ["docker/.env"]
