"""What a volume of a cohort costs: folders of 10, 50 and 200 small volumes through `t1t2 translate`; what 100,000 would take."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.samples import phantom

_SCANS_A_PART = 40
_COHORT = 100_000


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", nargs="+", type=int, default=[10, 50, 200])
    parser.add_argument("--spacing", type=float, default=4.0, help="voxel size of the phantoms, mm")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    report = summarize({count: _seconds(count, options.spacing) for count in options.counts})
    report["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    report["volume"] = "x".join(map(str, phantom("T1", (options.spacing,) * 3).shape))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "cohort.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def summarize(seconds: dict[int, float]) -> dict[str, object]:
    """Start and marginal cost of the seconds that folders of so many volumes took, and what they say of a large cohort."""
    few, many = min(seconds), max(seconds)
    marginal = (seconds[many] - seconds[few]) / (many - few)
    start = seconds[few] - few * marginal
    hours = (_COHORT * marginal + _COHORT / _SCANS_A_PART * start) / 3600
    return {
        "seconds of a folder": seconds,
        "seconds a volume, without the start": {count: (total - start) / count for count, total in seconds.items()},
        "start of a process, s": start,
        "one more volume, s": marginal,
        f"{_COHORT} volumes in parts of {_SCANS_A_PART}, machine hours": hours,
    }


def _seconds(count: int, spacing: float) -> float:
    """Of one process that translates `count` different volumes."""
    head = phantom("T1", (spacing,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            array = head.array.copy()
            array[0, 0, 0] = number
            write_volume(head.with_array(array), Path(folder, "scans", f"{number:05d}.nii.gz"))
        command = [sys.executable, "-m", "T1T2TranslationLib", "translate", f"{folder}/scans", "-o", f"{folder}/out"]
        start = time.perf_counter()
        subprocess.run([*command, "--quiet", "--force"], check=True)
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
