"""What "make install" and "make dist" bring, and that nothing of it is left out or left over."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from support import processes
from support.processes import ROOT
from support.service import PROGRAM

BUILD = Path(PROGRAM).parent
SHARED = "share/token-service"
INSTALLED = [
    "bin/token-service",
    "etc/logrotate.d/token-service",
    "lib/systemd/system/token-service.service",
    "lib/systemd/system/token-service-nginx.service",
    "lib/sysusers.d/token-service.conf",
    "share/man/man8/token-service.8",
    f"{SHARED}/scripts/migrate",
    f"{SHARED}/scripts/render-nginx",
    f"{SHARED}/scripts/lib/with-database",
    f"{SHARED}/sql/roles.sql",
    f"{SHARED}/nginx/static/node_modules/swagger-ui-dist/swagger-ui-bundle.js",
    f"{SHARED}/nginx/static/node_modules/redoc/bundles/redoc.standalone.js",
]
WHOLE_TREES = ["nginx", "scripts/monitoring", "sql"]
# Of a checkout: what is made, installed, or somebody's own.
NOT_OURS = {"node_modules", "__pycache__", ".pytest_cache", "build", "build-aux", "autom4te.cache", "var", ".git", ".env"}
MADE = {"Makefile.in", "aclocal.m4", "configure", "configure~"}


def make(*arguments):
    with open(BUILD / "install.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one make at a time in a build directory
        done = subprocess.run(["make", "-C", BUILD, *arguments], capture_output=True, text=True, env=processes.plain_environment())
    assert done.returncode == 0, done.stderr


def files(directory):
    """Paths relative to it, of whatever is no directory."""
    found = set()
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if name not in NOT_OURS]
        found.update(str(Path(folder, name).relative_to(directory)) for name in names if name not in NOT_OURS)
    return found


@pytest.fixture
def installed(tmp_path):
    """The prefix, below a DESTDIR."""
    make("install", f"DESTDIR={tmp_path}")
    [program] = tmp_path.rglob("bin/token-service")
    return program.parent.parent


def test_install_brings_all_that_readme_names(installed):
    assert [path for path in INSTALLED if not (installed / path).is_file()] == []
    for tree in WHOLE_TREES:
        assert files(installed / SHARED / tree) == files(ROOT / tree)
    for name in ("migrate", "render-nginx"):
        done = subprocess.run([installed / SHARED / "scripts" / name, "--help"], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_uninstall_leaves_nothing(installed, tmp_path):
    make("uninstall", f"DESTDIR={tmp_path}")
    assert files(tmp_path) == set()


def test_dist_has_every_file_of_the_checkout(tmp_path):
    """Whoever unpacks it builds, tests and contributes as from a checkout."""
    make("distdir", f"distdir={tmp_path}/dist")
    distributed = files(tmp_path / "dist")
    assert {path for path in files(ROOT) if Path(path).name not in MADE} - distributed == set()
    assert "configure" in distributed
