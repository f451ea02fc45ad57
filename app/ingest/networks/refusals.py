"""Why a list is not installed. What is wrong in itself `list_file` has refused before: here it is held against what is
in use and what is known for certain."""

from __future__ import annotations

from collections.abc import Mapping

from app.ingest.networks.catalogue import KINDS
from app.ingest.networks.folder import table_of
from app.ingest.networks.known import known, violations
from app.ingest.networks.list_file import NetworkList
from app.ingest.networks.ranges import size

SHRINKS = 2
GROWS = 4
_SHOWN = 5
_UNITS = {4: "IPv4 addresses", 6: "IPv6 networks (/64)"}


def refusals(candidate: NetworkList, in_use: Mapping[str, NetworkList], *, force: bool = False) -> list[str]:
    """The reasons against `candidate`, none when it may be installed.

    Args:
        force: a changed size is meant. Nothing else can be forced.
    """
    kind = KINDS.get(candidate.name)
    if kind is None:
        return [f"there is no list of this name; there are {', '.join(KINDS)}"]
    reasons: list[str] = []
    covered = size(candidate.spans, 4)
    if covered > kind.widest:
        reasons.append(f"it covers {covered:,} IPv4 addresses, at most {kind.widest:,} can be right")
    current = in_use.get(candidate.name)
    if current is not None and not force:
        reasons += _sizes(candidate, current)
    return reasons + _verdicts(candidate, in_use)


def _sizes(candidate: NetworkList, current: NetworkList) -> list[str]:
    if candidate.origin.source != current.origin.source:
        return []  # two publishers count differently; `widest` and the known networks hold all the same
    reasons = []
    for family, unit in _UNITS.items():
        before, after = size(current.spans, family), size(candidate.spans, family)
        if after * SHRINKS < before:
            reasons.append(f"it shrinks from {before:,} to {after:,} {unit}; --force if that is right")
        elif before and after > before * GROWS:
            reasons.append(f"it grows from {before:,} to {after:,} {unit}; --force if that is right")
    return reasons


def _verdicts(candidate: NetworkList, in_use: Mapping[str, NetworkList]) -> list[str]:
    # Alone: what lists in use get wrong already may hide what this one does. Then all together: lists override another.
    wrong = [one for one in violations(table_of([candidate]), known()) if not one.wanted]
    before = violations(table_of(in_use.values()), known())
    after = violations(table_of({**in_use, candidate.name: candidate}.values()), known())
    found = [str(one) for one in dict.fromkeys([*wrong, *(one for one in after if one not in before)])]
    return found[:_SHOWN] + ([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])
