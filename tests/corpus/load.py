"""The newsletters of this folder, written for it and generated, with what `manifest.json` says of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus import generated

_FOLDER = Path(__file__).parent
_GENERATED = {"hundred-links": generated.hundred_links, "huge": generated.huge}


@dataclass(frozen=True, slots=True)
class Newsletter:
    name: str
    charset: str
    tracked: int
    """How many of its links are ours to track, counted by hand."""
    pixels: int
    """How many of a header's and a footer's are put in: both, but in an AMP document, which is left as it is."""
    traps: int
    """How many traps are put in: one where there is a link to track, but inside an anchor that is never closed."""
    content: bytes = field(repr=False)
    """As it would be sent, in its charset."""

    @property
    def html(self) -> str:
        return self.content.decode(self.charset)


def newsletters() -> list[Newsletter]:
    """All of them, by name.

    Raises:
        ValueError: files and manifest do not name the same ones.
    """
    manifest: dict[str, dict[str, str | int]] = json.loads((_FOLDER / "manifest.json").read_text(encoding="utf-8"))
    files = {path.stem: path for path in (_FOLDER / "newsletters").glob("*.html")}
    if unknown := manifest.keys() ^ (files.keys() | _GENERATED.keys()):
        raise ValueError(f"in the manifest or in the folder, but not in both: {', '.join(sorted(unknown))}")
    return [
        Newsletter(
            name=name,
            charset=str(entry.get("charset", "utf-8")),
            tracked=int(entry["tracked"]),
            pixels=int(entry.get("pixels", 2)),
            traps=int(entry.get("traps", bool(entry["tracked"]))),
            content=_GENERATED[name]().encode() if name in _GENERATED else files[name].read_bytes(),
        )
        for name, entry in sorted(manifest.items())
    ]
