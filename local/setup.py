"""`make setup`: makes `.venv` and installs the pinned requirements. `python3 local/setup.py [--dev]`.

Runs before anything is installed, so: standard library only, and a syntax that an old Python can read far enough to say
what it lacks. A stamp of the requirement files makes a second run a matter of milliseconds.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST = (3, 11)
RUNTIME = ("requirements.txt", "requirements-local.txt")
DEVELOPMENT = (*RUNTIME, "requirements-dev.txt")


class SetupFailed(Exception):
    """The text says what is missing and how to get it."""


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, _stop)
    parser = argparse.ArgumentParser(description="Make .venv and install the pinned requirements.")
    parser.add_argument("--dev", action="store_true", help="also what tests and linters need")
    files = DEVELOPMENT if parser.parse_args().dev else RUNTIME
    try:
        _check_machine()
        VENV.mkdir(exist_ok=True)
        with (VENV / ".setup.lock").open("w", encoding="ascii") as lock:
            # Two `make` at once: the second waits and then finds everything done.
            fcntl.flock(lock, fcntl.LOCK_EX)
            _set_up(files)
    except SetupFailed as error:
        print(f"\nSet-up stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up stopped. `make setup` goes on where it was.", file=sys.stderr)
        return 130
    return 0


def _check_machine() -> None:
    if sys.version_info < OLDEST:
        newer = next(
            (name for minor in range(20, OLDEST[1] - 1, -1) if (name := shutil.which(f"python3.{minor}"))), None
        )
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 - an interpreter that we have just found on the PATH
        raise SetupFailed(
            f"Telltale needs Python {OLDEST[0]}.{OLDEST[1]} or newer, and this is {platform.python_version()}. "
            "If you have another one: make PYTHON=/path/to/python3.11 run"
        )
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise SetupFailed("the servers that come with it are for Linux on x86-64; elsewhere use docker-compose.yml")


def _set_up(files: tuple[str, ...]) -> None:
    if _read_stamp() in (_stamp_of(DEVELOPMENT), _stamp_of(files)):
        return
    began = time.monotonic()
    print("Setting up .venv (once; later starts skip this)")
    if not _venv_is_ours():
        _make_venv()
    _install(files)
    (VENV / ".stamp").write_text(_stamp_of(files), encoding="ascii")
    print(f"  ✓ set up after {time.monotonic() - began:.0f} s", flush=True)


def _stamp_of(files: tuple[str, ...]) -> str:
    """Changes with the requirements, the interpreter, and the place: scripts in a moved .venv no longer start."""
    digest = hashlib.sha256(f"{sys.version}\n{VENV}\n".encode())
    for name in files:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _read_stamp() -> str:
    try:
        return (VENV / ".stamp").read_text(encoding="ascii")
    except OSError:
        return ""


def _venv_is_ours() -> bool:
    """Whether the interpreter in .venv works, is ours by version, and .venv was made in this place."""
    question = "import sys, pip; print(sys.version, sys.prefix, sep='\\n')"
    try:
        done = subprocess.run(
            [str(VENV / "bin" / "python"), "-c", question], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == f"{sys.version}\n{VENV}"


def _make_venv() -> None:
    print("  · virtual environment", flush=True)
    # The base interpreter: with .venv activated `python3` is the one that is about to be cleared away.
    python = getattr(sys, "_base_executable", sys.executable)
    done = _quiet([python, "-m", "venv", "--clear", str(VENV)])
    if done.returncode == 0:
        return
    # Debian and Ubuntu keep ensurepip in a package of its own. Whatever else can make an environment with pip will do.
    for command in (
        [python, "-m", "virtualenv", "--clear", "-q", str(VENV)],
        ["virtualenv", "--clear", "-q", "-p", python, str(VENV)],
        ["uv", "venv", "--seed", "--clear", "-q", "-p", python, str(VENV)],
    ):
        if _quiet(command).returncode == 0:
            return
    bare = _quiet([python, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    borrowed = [python, "-m", "pip", "--python", str(VENV / "bin" / "python"), "install", "-q", "pip"]
    if bare.returncode == 0 and _quiet(borrowed).returncode == 0:
        return
    version = ".".join(map(str, sys.version_info[:2]))
    raise SetupFailed(
        f"this Python cannot make virtual environments with pip:\n{done.stdout[-600:]}\n"
        f"On Debian and Ubuntu: apt-get install python{version}-venv   (as root), then the same command again."
    )


def _quiet(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, stdout="")


def _install(files: tuple[str, ...]) -> None:
    """Install with pip: each file is checked against its hashes, nothing is built from source."""
    wanted = sum(len(re.findall(r"^[A-Za-z0-9]", (ROOT / name).read_text(encoding="utf-8"), re.M)) for name in files)
    arguments = [word for name in files for word in ("-r", str(ROOT / name))]
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    process = subprocess.Popen(
        [*pip, "install", "--progress-bar", "off", "--require-hashes", "--only-binary", ":all:", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    found = 0
    try:
        for line in process.stdout or ():
            said = [*said[-40:], line]
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                found += 1
                _show(f"  · packages {min(found, wanted)} of {wanted}")
            elif line.startswith("Installing collected packages"):
                _show(f"  · installing {wanted} packages")
    except BaseException:
        # Ctrl-C in a terminal reached pip as well; a signal to us alone did not.
        process.terminate()
        process.wait()
        raise
    status = process.wait()
    _show("", end="\r")
    if status != 0:
        raise SetupFailed("pip could not install the requirements:\n" + "".join(said)[-2000:])


_shown = 0.0


def _show(text: str, end: str = "") -> None:
    """Progress on one line of a terminal; elsewhere a line every five seconds, so that a log stays short."""
    global _shown  # noqa: PLW0603 - the time of the last line, in a program of one thread
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end=end, flush=True)
    elif text and time.monotonic() - _shown > 5:
        _shown = time.monotonic()
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
