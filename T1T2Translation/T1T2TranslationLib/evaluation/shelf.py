"""Cases read once: whoever is read for the trivial learners lies on disk until the judging, and memory holds one at a time."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np

from ..subjects import Case, Subject
from ..volume import Volume

_SPARE_BYTES = 2 << 30  # of the disk, left to others
# A shelf is named after its machine, as several may share a temporary folder, and its process.
_NAME = f"t1t2-shelf-{re.sub('[^A-Za-z0-9]', '', platform.node())}-"


class Shelf:
    """Keeps prepared cases in a folder of its own; to be used in a `with` block, at whose end the folder is gone.

    read: prepares a subject, which unpacks, registers and compares images and takes seconds; coming back from the shelf
    takes a tenth of a second. Where the disk is nearly full a case is not kept, and read again when it is asked for.
    What a process that was killed left on its shelf goes when the next one is made.
    """

    def __init__(self, read: Callable[[Subject], Case]):
        self._load = read
        _sweep()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-"))
        self._kept: dict[str, Path] = {}

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def read(self, subject: Subject, keep: bool) -> Case:
        """Read a subject, and keep it for `take` if that is wanted and the disk has room. Raises what reading raises."""
        case = self._load(subject)
        if not keep:
            return case
        size = sum(array.nbytes for array in (case.volume.array, case.truth, case.seen, *case.masks.values()))
        if shutil.disk_usage(self._folder).free > _SPARE_BYTES + size:
            self._kept[subject.id] = _write(case, Path(tempfile.mkdtemp(dir=self._folder)))
        return case

    def take(self, subject: Subject) -> Case:
        """The case, from the shelf where it leaves no trace, or read anew."""
        place = self._kept.pop(subject.id, None)
        if place is None:
            return self._load(subject)
        case = _case(subject, place)
        shutil.rmtree(place)
        return case


def _sweep() -> None:
    """Remove the shelves of this machine's processes that are no more: they hold patients' images."""
    if os.name != "posix":  # elsewhere one cannot ask for a process without ending it
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{_NAME}*"):
        owner = folder.name.removeprefix(_NAME).partition("-")[0]
        if owner.isdecimal() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's; no process of ours has such a number
        return True
    return True


def _write(case: Case, place: Path) -> Path:
    arrays = {"volume": case.volume.array, "affine": case.volume.affine, "truth": case.truth, "seen": case.seen}
    arrays |= {f"mask {number}": mask for number, mask in enumerate(case.masks.values())}
    for name, array in arrays.items():
        np.save(place / f"{name}.npy", array)
    facts = {"name": case.volume.name, "masks": list(case.masks), "skull_stripped": case.skull_stripped}
    (place / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return place


def _case(subject: Subject, place: Path) -> Case:
    facts = json.loads((place / "facts.json").read_text(encoding="utf-8"))

    def array(name: str) -> np.ndarray:
        found: np.ndarray = np.load(place / f"{name}.npy")
        return found

    volume = Volume(array("volume"), array("affine"), facts["name"])
    masks = {name: array(f"mask {number}") for number, name in enumerate(facts["masks"])}
    return Case(subject, volume, array("truth"), masks, array("seen"), facts["skull_stripped"])
