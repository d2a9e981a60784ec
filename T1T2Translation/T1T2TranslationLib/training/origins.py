"""Where the subjects of a training come from: what their data list says of sources, licences and what to cite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from ..card_page import NOT_STATED
from ..subjects import Subject


@dataclass(frozen=True)
class Origin:
    """Subjects of one source and licence; texts as the data list states them."""

    source: str
    licence: str
    cite: str
    subjects: tuple[str, ...]
    pathologies: tuple[str, ...] = ()


def origins_of(subjects: Iterable[Subject]) -> list[Origin]:
    """The origins of these subjects; those of whom their list says nothing, or a folder is read, share one."""
    groups: dict[tuple[str, ...], list[Subject]] = defaultdict(list)
    for subject in subjects:
        groups[subject.source or NOT_STATED, subject.licence or NOT_STATED, subject.cite].append(subject)
    return [
        Origin(source, licence, cite, tuple(member.id for member in members), _pathologies(members))
        for (source, licence, cite), members in groups.items()
    ]


def _pathologies(members: Iterable[Subject]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(member.pathology for member in members if member.pathology))
