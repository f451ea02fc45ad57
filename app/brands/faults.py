"""What is wrong with brands.yaml, in sentences for its author. Never quotes a value that could be a secret."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.brands import schema
from app.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    file: str
    """The file's name without its folder."""
    problem: str
    """Reads on after "field x:"."""
    brand: str = ""
    """The brand's id in quotes, or `number 3` when it has none; empty for the file as a whole."""
    field: str = ""
    """As `endpoints[0].url`; empty for the brand or file as a whole."""

    def __str__(self) -> str:
        where = [self.file]
        if self.brand:
            where.append(f"brand {self.brand}")
        if self.field:
            where.append(f"field {self.field}")
        return f"{', '.join(where)}: {self.problem}"


class BrandsFileRefused(ConfigurationError):
    """The brands file cannot be used; `faults` has everything that is wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def brand_label(entry: Mapping[str, Any], number: int) -> str:
    """How messages name a brand: its id in quotes if it has a printable one, else its place in the file (from 1)."""
    brand_id = entry.get("id")
    return f'"{brand_id[:40]}"' if isinstance(brand_id, str) and brand_id.isprintable() else f"number {number}"


def faults_of(error: ValidationError, file: str, brand: str = "") -> Iterator[Fault]:
    """Pydantic's findings as ours, one each."""
    details = error.errors(include_url=False, include_input=False)
    places = [detail["loc"] for detail in details]
    for detail in details:
        where = detail["loc"]
        # A list whose items are all faulty is also reported as too short; the items say what is wrong.
        if detail["type"] == "too_short" and any(place[: len(where)] == where != place for place in places):
            continue
        yield Fault(file, _problem(detail), brand, _path(where))


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _problem(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not a known field" + _suggestion(str(detail["loc"][-1]))
        case "value_error":
            return str(context["error"])
        case "literal_error" | "enum":
            return f"must be {context['expected']}"
        case "bool_type":
            return "must be true or false"
        case "string_type":
            return "must be text (put quotes around it if it looks like a number)"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "must be a mapping"
        case "tuple_type" | "frozen_set_type" | "list_type":
            return "must be a list"
        case "too_short":
            return f"must have at least {context['min_length']} entry"
        case _:
            return detail["msg"].replace("Input should be", "must be").replace("String should have", "must have")


def _suggestion(name: str) -> str:
    known = sorted({field for model in schema.MODELS for field in model.model_fields})
    if name in known:
        return " here (it belongs to another mapping)"
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
