"""One translation for every scan of a folder or data list: which are this shard's, which were done or refused, which fail."""

from __future__ import annotations

import logging
import os
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .catalog import ModelCard
from .errors import T1T2Error, UnsuitableVolume
from .file_translation import FileTranslation
from .io import Scan, find_scans, with_unique_names
from .subjects import listed_name, listed_subjects

log = logging.getLogger(__name__)

# What may be wrong with one scan of a folder without being wrong with the next.
_FAILURES = (T1T2Error, OSError, MemoryError)


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `count` parts of a cohort; a scan's name alone decides where it belongs.

    So processes that never speak to each other share a folder, and a scan that is added moves no other.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard written as "2/8"; raises ValueError."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal()):
            raise ValueError(f"'{text}' is not of the form 2/8")
        return cls(int(number), int(count))

    def holds(self, name: str) -> bool:
        """Whether the scan of this name belongs here: the same answer on every machine."""
        return zlib.crc32(name.encode("utf-8", "surrogateescape")) % self.count == self.number - 1


def scans_of(source: Path, sequence: str, shard: Shard) -> list[Scan]:
    """The scans of this part of a cohort, by name. source: a folder of scans, or the JSON file of a MONAI data list.

    sequence: which images of a data list are wanted, "T1"; how many subjects have none is logged.
    Raises UnsuitableTrainingData for a file that is no data list.
    """
    if source.is_dir():
        return find_scans(source, shard.holds)
    wanted = listed_name(sequence)
    subjects = listed_subjects(source, wanted, "label")
    without = sum(wanted not in subject.images for subject in subjects)
    if without:
        log.warning("%d of %d subjects of '%s' have no %s.", without, len(subjects), source.name, sequence)
    # Whoever stands in several lists, as folds are sometimes written, is one scan.
    listed = {Path(os.path.abspath(one.images[wanted])): one.id for one in subjects if wanted in one.images}
    named = with_unique_names((_as_path(name), path) for path, name in listed.items())
    return [Scan(str(path), name) for name, path in named if shard.holds(name)]


def _as_path(name: str) -> str:
    """A subject's name as a relative path below the folder of results; no name leads out of it."""
    parts = [re.sub(r"[^\w@+=. -]", "_", part).strip(". ") for part in name.split("/")]
    return "/".join(part for part in parts if part) or "scan"


@dataclass
class Tally:
    """What came of the scans of a cohort, by their names."""

    translated: list[str] = field(default_factory=list)
    done_before: list[str] = field(default_factory=list)
    refused: dict[str, UnsuitableVolume] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)

    def exit_code(self, counts_refusals: bool) -> int:
        """The code that all errors share, else 1; 0 without any."""
        errors = [*self.failed.values(), *(self.refused.values() if counts_refusals else ())]
        codes = {error.exit_code if isinstance(error, T1T2Error) else 1 for error in errors}
        return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def work_through(
    scans: Iterable[Scan],
    job_of: Callable[[Scan], FileTranslation],
    card: ModelCard,
    accept_any_input: bool,
    run: Callable[[FileTranslation, Scan], object],
) -> Tally:
    """Have `run` translate each scan whose result or refusal is not there yet; one that fails does not stop the others.

    A refused scan gets a record that says why, and is not tried again until it, the model or the software changes.
    """
    tally = Tally()
    for scan in scans:
        try:
            job = job_of(scan)
            job.check_outputs()
            job.refuse_to_replace(card)
            request = job.request(card, accept_any_input)
            if job.is_finished(request):
                tally.done_before.append(scan.name)
            elif refusal := job.refusal(request):
                tally.refused[scan.name] = refusal
            else:
                _run_one(job, scan, request, run, tally)
        except _FAILURES as error:
            tally.failed[scan.name] = error
    return tally


def _run_one(
    job: FileTranslation, scan: Scan, request: dict, run: Callable[[FileTranslation, Scan], object], tally: Tally
) -> None:
    try:
        run(job, scan)
        tally.translated.append(scan.name)
    except UnsuitableVolume as error:
        job.record_refusal(error, request)
        tally.refused[scan.name] = error
