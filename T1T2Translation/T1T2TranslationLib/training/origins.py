"""Where the subjects of a training come from: what their data list says of sources, licences and what to cite."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..card_page import NOT_STATED


@dataclass(frozen=True)
class Origin:
    """Subjects of one source and licence; texts as the data list states them."""

    source: str
    licence: str
    cite: str
    subjects: tuple[str, ...]
    pathologies: tuple[str, ...] = ()


def origins_of(datalist: Path, subjects: Collection[str]) -> list[Origin]:
    """The origins of these subjects (by id); those of whom a list says nothing, or a folder is read, share one.

    datalist: a JSON object of lists whose entries may have "source", "licence" and "cite".
    """
    entries = {}
    if datalist.is_file():
        lists = [listed for listed in json.loads(datalist.read_text(encoding="utf-8")).values() if isinstance(listed, list)]
        entries = {str(entry.get("id")): entry for listed in lists for entry in listed if isinstance(entry, dict)}
    groups: dict[tuple[str, ...], list[str]] = {}
    for subject in subjects:
        entry = entries.get(subject, {})
        stated = tuple(
            str(entry.get(key, absent)) for key, absent in (("source", NOT_STATED), ("licence", NOT_STATED), ("cite", ""))
        )
        groups.setdefault(stated, []).append(subject)
    return [
        Origin(source, licence, cite, tuple(members), _pathologies(members, entries))
        for (source, licence, cite), members in groups.items()
    ]


def _pathologies(members: list[str], entries: dict[str, dict[str, object]]) -> tuple[str, ...]:
    named = [str(entries[member]["pathology"]) for member in members if entries.get(member, {}).get("pathology")]
    return tuple(dict.fromkeys(named))
