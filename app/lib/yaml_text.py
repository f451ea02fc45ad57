"""Reads a small YAML file written by an operator, strictly: no duplicate keys, no aliases, no tags, bounded depth.

Built on PyYAML's event stream, so nothing is ever constructed but dict, list, str, int, float, bool and None, and a
hostile file cannot grow (aliases) or recurse. Plain scalars follow YAML 1.2's core schema: only `true` and `false` are
booleans, so that a brand with the id `no` stays a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 20
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "false": False}
# libyaml is ten times faster; a live reload happens inside a request.
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlFault(ValueError):
    """The text cannot be read; one sentence that names the line and quotes nothing but a key."""


def read_yaml(text: str) -> Any:
    """The one document of `text`.

    Raises:
        YamlFault: syntax error, duplicate key, alias, tag, a key that is not text, too deep, not exactly one document.
    """
    try:
        return _Builder(yaml.parse(text, Loader=_Loader)).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        raise YamlFault(f"{where}not valid YAML ({problem})") from error


class _Builder:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise YamlFault(f"{_line(event)}: more than one document in the file")
                value = self._value(next(self._events), depth=0)
        if documents == 0:
            raise YamlFault("the file is empty")
        return value

    def _value(self, event: yaml.Event, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise YamlFault(f"{_line(event)}: nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise YamlFault(f"{_line(event)}: anchors and aliases (& and *) are not supported")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, depth)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        raise YamlFault(f"{_line(event)}: not valid YAML")

    def _sequence(self, start: yaml.SequenceStartEvent, depth: int) -> list[Any]:
        _refuse_tag(start)
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _mapping(self, start: yaml.MappingStartEvent, depth: int) -> dict[str, Any]:
        _refuse_tag(start)
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                raise YamlFault(f"{_line(event)}: a key must be text")
            if key in mapping:
                raise YamlFault(f'{_line(event)}: the key "{key[:60]}" stands twice in one mapping')
            mapping[key] = self._value(next(self._events), depth + 1)
        return mapping


def _scalar(event: yaml.ScalarEvent) -> Any:
    _refuse_tag(event)
    text: str = event.value
    if not event.implicit[0]:
        return text  # quoted
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _refuse_tag(event: yaml.Event) -> None:
    if getattr(event, "tag", None) is not None:
        raise YamlFault(f"{_line(event)}: tags (!…) are not supported")


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "somewhere"
