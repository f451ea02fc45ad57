"""nginx's configuration is taken by a real nginx, on one machine and in Docker, and keeps people out of the logs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.binaries import nginx_binary
from local.environment import render

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = (ROOT / "nginx" / "telltale.conf.template").read_text(encoding="utf-8")


def _in_docker() -> dict[str, str]:
    """The variables of docker-compose.yml with the defaults that stand in it."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    environment: dict[str, str] = compose["services"]["nginx"]["environment"]
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in environment.items()}


@pytest.mark.parametrize("real_ip", ["", "set_real_ip_from 10.0.0.0/8;\nset_real_ip_from 2001:db8::/32;"])
def test_nginx_accepts_the_production_configuration(tmp_path: Path, real_ip: str) -> None:
    front = tmp_path / "telltale.conf"
    front.write_text(render(TEMPLATE, {**_in_docker(), "TELLTALE_REAL_IP": real_ip}), encoding="utf-8")
    main = (ROOT / "nginx" / "production.conf").read_text(encoding="utf-8")
    main = main.replace("/etc/nginx/conf.d/telltale.conf", str(front)).replace("/run/nginx.pid", f"{tmp_path}/pid")
    # The image has this account; this machine need not.
    main = main.replace("user nginx;", "")
    (tmp_path / "nginx.conf").write_text(main, encoding="utf-8")
    command = [str(nginx_binary()), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_no_log_of_nginx_can_quote_a_request() -> None:
    assert re.findall(r"^\s*access_log (\S+);", TEMPLATE, re.MULTILINE) == ["off"]
    for name in ("local.conf.template", "production.conf"):
        text = (ROOT / "nginx" / name).read_text(encoding="utf-8")
        assert re.findall(r"^\s*error_log (.+);", text, re.MULTILINE) == ["stderr crit"]


def test_no_decoded_path_reaches_an_answer() -> None:
    """`$uri` in a return or rewrite would let %0d%0a in a path write headers."""
    for line in TEMPLATE.splitlines():
        if re.match(r"\s*(return|rewrite|add_header|error_page)\b", line):
            assert "uri" not in line
