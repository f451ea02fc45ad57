"""Noticing that a file was written or replaced."""

from __future__ import annotations

from pathlib import Path

FileSignature = tuple[int, int, int]


def file_signature(path: Path) -> FileSignature | None:
    """Changes when the file's content, permissions or identity change; None when it is not there or not reachable.

    The change time rather than the modification time: a repaired permission counts, a copied time stamp hides nothing.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ctime_ns, stat.st_size, stat.st_ino
