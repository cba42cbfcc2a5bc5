"""What "make install" and "make dist" bring, and that nothing of it is left out or left over."""

import fcntl
import os
import shutil
import stat
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
SERVED = [path.removeprefix(f"{SHARED}/") for path in INSTALLED if "node_modules" in path]
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


def closed_checkout(directory):
    """What a clone and its preparation leave under umask 077."""
    shutil.copytree(ROOT, directory, symlinks=True, ignore=shutil.ignore_patterns(*NOT_OURS - {"build-aux"}))
    for path in SERVED:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, directory / path)
    for path in (directory, *directory.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)


def unreadable(path):
    """To others than its owner."""
    needed = 0o055 if path.is_dir() else 0o044
    return path.stat().st_mode & needed != needed


def test_install_under_any_umask_is_readable_to_the_services_users(tmp_path):
    """From files that only who cloned them may read, by somebody whose new files are as closed."""
    closed_checkout(tmp_path / "source")
    for command in (["source/configure", "-q"], ["make", "install-data", f"DESTDIR={tmp_path}/root"]):
        done = subprocess.run(command, cwd=tmp_path, umask=0o077, capture_output=True, text=True, env=processes.plain_environment())
        assert done.returncode == 0, done.stderr
    [shared] = (tmp_path / "root").rglob("share/token-service")
    assert all((shared / path).is_file() for path in SERVED)
    everything = [shared, *shared.rglob("*"), *(path for path in (tmp_path / "root").rglob("*") if path.is_file())]
    assert [str(path) for path in everything if unreadable(path)] == []
    assert os.access(shared / "scripts/migrate", os.X_OK)
    assert not any(path.stat().st_mode & 0o022 for path in everything), "and nobody else may write there"


def test_rendered_site_is_readable_under_any_umask(tmp_path):
    """nginx's master need not be who rendered it."""
    out = tmp_path / "nginx.conf"
    command = [ROOT / "scripts/render-nginx", "--run-dir", tmp_path, "--out", out]
    done = subprocess.run(command, umask=0o077, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(out.stat().st_mode) == 0o644


def test_uninstall_leaves_nothing(installed, tmp_path):
    make("uninstall", f"DESTDIR={tmp_path}")
    assert files(tmp_path) == set()


def test_dist_has_every_file_of_the_checkout(tmp_path):
    """Whoever unpacks it builds, tests and contributes as from a checkout."""
    make("distdir", f"distdir={tmp_path}/dist")
    distributed = files(tmp_path / "dist")
    assert {path for path in files(ROOT) if Path(path).name not in MADE} - distributed == set()
    assert "configure" in distributed
