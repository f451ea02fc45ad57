"""The samples of the documents as a reader would copy them, and what Node.js needs to run those in JavaScript."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL_SECONDS = 120


def blocks_of(document: str, language: str) -> list[str]:
    """The code blocks of a document in one language."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `import … from "standardwebhooks"` works."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("the samples in JavaScript need node and npm, and one of them is not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).parent / name, folder / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not give us the package standardwebhooks within {INSTALL_SECONDS} seconds")
    if done.returncode:
        pytest.skip(f"npm did not give us the package standardwebhooks: {done.stderr.strip()[-300:]}")
    return folder
