"""What a real Slicer shows of a class to Python, read from `slicer_api.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Members:
    """The names one class shows.

    properties: name -> (Qt type, writable); signals, slots: signatures; methods: every other name, and the slots' names.
    """

    properties: dict[str, tuple[str, bool]] = field(default_factory=dict)
    signals: frozenset[str] = frozenset()
    slots: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()

    def __or__(self, other: Members) -> Members:
        return Members(
            {**other.properties, **self.properties},
            self.signals | other.signals,
            self.slots | other.slots,
            self.methods | other.methods,
        )

    def with_methods(self, *names: str) -> Members:
        """The same with some methods more."""
        return replace(self, methods=self.methods | set(names))

    def without_property(self, name: str) -> Members:
        """The same without one property."""
        return replace(self, properties={key: value for key, value in self.properties.items() if key != name})

    def signals_named(self, name: str) -> list[str]:
        """The signatures of the signal's overloads, the one with most arguments first (the others are its defaults)."""
        return sorted((s for s in self.signals if base_name(s) == name), key=lambda s: (-len(argument_types(s)), s))

    def slot_types(self, name: str, count: int) -> list[str] | None:
        """The argument types of the slot `name` with `count` arguments; None where there is none, or more than one."""
        found = [argument_types(s) for s in self.slots if base_name(s) == name and len(argument_types(s)) == count]
        return found[0] if len(found) == 1 else None


def words(text: str) -> list[str]:
    """A list of names written as one text."""
    return text.split()


def base_name(signature: str) -> str:
    """`clicked` of `clicked(bool)`."""
    return signature.partition("(")[0]


def argument_types(signature: str) -> list[str]:
    """`["int", "QProcess::ExitStatus"]` of `finished(int,QProcess::ExitStatus)`."""
    inside = signature.partition("(")[2].rstrip(")")
    return inside.split(",") if inside else []


@cache
def read_api() -> dict:
    """The cut introspection, see `cut_api.py`."""
    return json.loads(Path(__file__).with_name("slicer_api.json").read_text())


@cache
def members_of(class_name: str) -> Members:
    """What `class_name` shows; KeyError where the introspection has no such class."""
    entry = read_api()["classes"][class_name]
    slots = frozenset(entry["slots"])
    own = Members(
        {name: (kind, writable) for name, (kind, writable) in entry["properties"].items()},
        frozenset(entry["signals"]),
        slots,
        frozenset(entry["python"]) | {base_name(slot) for slot in slots},
    )
    return own | members_of("QWidget") if entry["addsToQWidget"] else own


def is_shown(module_name: str, name: str) -> bool:
    """Whether Slicer's module `slicer`, `qt` or `ctk` has this name at all."""
    return name in read_api()["names"][module_name]
