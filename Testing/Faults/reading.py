"""Reads the files named on its stdin one after another within a bound of memory and time, and says on stdout what came of each.

A process of its own: a file that crashes, hangs or asks for too much ends this process and not the test.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

import numpy as np

# No file may take longer; the signal ends the process even where native code is caught in a loop.
SECONDS_A_FILE = 20
# What reading may take beyond what the process held before, for the small files of these tests: the stated bound.
BOUND_BYTES = 512 << 20


def outcome_of(path: str) -> dict[str, object]:
    """Of one file: "refused" with the sentence, or "read" with what is needed to judge it."""
    from T1T2TranslationLib.errors import UnsuitableVolume
    from T1T2TranslationLib.io import read_volume

    try:
        volume = read_volume(path)
    except UnsuitableVolume as error:
        return {"outcome": "refused", "message": error.message, "remedy": error.remedy}
    stored = Path(path).with_name("found.npy")
    np.save(stored, volume.array)
    return {"outcome": "read", "array": str(stored), "affine": volume.affine.tolist()}


def main() -> None:
    import SimpleITK as sitk
    from T1T2TranslationLib.io import read_volume

    sitk.ImageFileReader.GetImageIOFromFileName(__file__)  # libraries are loaded before the bound is drawn
    assert read_volume
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound = pages * resource.getpagesize() + BOUND_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    for line in sys.stdin:
        signal.alarm(SECONDS_A_FILE)
        print(json.dumps(outcome_of(line.rstrip("\n"))), flush=True)
        signal.alarm(0)


if __name__ == "__main__":
    main()
