"""The access log of nginx is rotated by the installed file: real logrotate, a running nginx, no line lost."""

import grp
import os
import pwd
import re
import subprocess

import pytest

from support import processes
from support.processes import ROOT, wait_until

FILE = ROOT / "scripts/logrotate/token-service"
LOG = "/var/lib/token-service-nginx/access.log"
UNIT = "token-service-nginx.service"
# Stands for the service manager: notes what it was asked, and signals the process that it would.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>{calls}
case $* in *is-active*) exit {active} ;; esac
kill -USR1 {pid}
"""


@pytest.fixture
def rotate(service, tmp_path):
    """rotate(active=True): as cron or the timer would, the next day. With the paths and users of this machine."""
    def run(*options, active=True):
        owner = os.stat(service.nginx.run_dir)
        user, group = pwd.getpwuid(owner.st_uid).pw_name, grp.getgrgid(owner.st_gid).gr_name
        text = FILE.read_text()
        assert text.count(LOG) == 1 and "su token-service-web token-service-web" in text
        text = text.replace(LOG, str(service.nginx.run_dir / "access.log")).replace(
            "su token-service-web token-service-web", f"su {user} {group}")
        config, programs = tmp_path / "logrotate.conf", tmp_path / "bin"
        config.write_text(text)
        config.chmod(0o644)
        programs.mkdir(exist_ok=True)
        stand_in = programs / "systemctl"
        stand_in.write_text(SYSTEMCTL.format(calls=tmp_path / "calls", active=0 if active else 3, pid=service.nginx.process.pid))
        stand_in.chmod(0o755)
        env = processes.plain_environment()
        env["PATH"] = f"{programs}:/usr/sbin:{env['PATH']}"
        return subprocess.run(["logrotate", *options, "--state", tmp_path / "state", config], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=processes.seconds(60))

    return run


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_rotation_loses_no_line(service, rotate, tmp_path):
    """The old lines are in access.log.1, the next ones in a new access.log; nginx was asked through its unit, once."""
    log, old = service.nginx.run_dir / "access.log", service.nginx.run_dir / "access.log.1"
    for _ in range(3):
        service.get("/health")
    wait_until(lambda: len(lines(log)) >= 3, what="three lines")
    before = lines(log)
    done = rotate("--force")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert lines(old)[:len(before)] == before
    wait_until(log.exists, what="nginx makes the new file")
    wait_until(lambda: not service.nginx.has_open(old), what="every process of nginx writes to it")
    service.get("/clients/424242")
    wait_until(lambda: any("/clients/424242" in line for line in lines(log)), what="the next line")
    assert not any("/clients/424242" in line for line in lines(old))
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"--quiet is-active {UNIT}", f"kill --signal=USR1 --kill-who=main {UNIT}"]
    service.get("/health")
    wait_until(lambda: len(lines(log)) > 1, what="one more line")
    assert rotate("--force").returncode == 0
    assert [path.name for path in service.nginx.run_dir.glob("access.log.2*")] == ["access.log.2.gz"]


def test_stopped_unit_is_not_signalled(service, rotate, tmp_path):
    """The log is rotated all the same, and that is no error."""
    service.get("/health")
    wait_until(lambda: lines(service.nginx.run_dir / "access.log"), what="a line")
    done = rotate("--force", active=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kill" not in (tmp_path / "calls").read_text()
    assert (service.nginx.run_dir / "access.log.1").exists()


def test_logrotate_understands_every_line(service, rotate):
    """Its own look at the file, which changes nothing."""
    service.get("/health")
    done = rotate("--debug")
    assert done.returncode == 0 and not re.search("error|unknown", done.stderr, re.I), done.stderr
    assert "after 1 days (14 rotations)" in done.stdout + done.stderr


def test_file_rotates_the_log_of_the_installed_unit():
    """The path is the unit's, where its nginx.conf is written with that --run-dir."""
    unit = (ROOT / "scripts/systemd/token-service-nginx.service.in").read_text()
    assert f"-p {os.path.dirname(LOG)} " in unit and "User=token-service-web" in unit
    assert f'access_log "@RUN_DIR@/{os.path.basename(LOG)}"' in (ROOT / "nginx/http.conf.in").read_text()
