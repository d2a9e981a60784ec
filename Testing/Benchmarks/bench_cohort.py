"""What a volume of a cohort costs: folders of 1 to 200 small volumes through `t1t2 translate`; what 100,000 would take.

Wall time suffers from whatever else the machine does, processor time hardly: the ratios are those of processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from T1T2TranslationLib.cohort import Shard
from T1T2TranslationLib.io import find_scans, write_volume
from T1T2TranslationLib.samples import phantom

_SCANS_A_PART = 40
_COHORT = 100_000


@dataclass(frozen=True)
class Cost:
    """Of one process, or the medians of several: seconds on the clock, and of processor time."""

    wall_s: float
    processor_s: float


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 10, 50, 200])
    parser.add_argument("--rounds", type=int, default=3, help="how often each count is measured, in turn")
    parser.add_argument("--spacing", type=float, default=4.0, help="voxel size of the phantoms, mm")
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    rounds = [{count: _cost(count, options.spacing) for count in options.counts} for _ in range(options.rounds)]
    costs = {count: _median([one[count] for one in rounds]) for count in options.counts}
    report = summarize(costs, _listing_s())
    report["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    report["volume"] = "x".join(map(str, phantom("T1", (options.spacing,) * 3).shape))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "cohort.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))
    print(as_table(costs))


def summarize(costs: dict[int, Cost], listing_s: float) -> dict[str, object]:
    """Start and marginal processor time of folders of so many volumes, and what they say of a large cohort."""
    few, many = min(costs), max(costs)
    marginal = (costs[many].processor_s - costs[few].processor_s) / (many - few)
    start = costs[few].processor_s - few * marginal
    hours = (_COHORT * marginal + _COHORT / _SCANS_A_PART * (start + listing_s)) / 3600
    return {
        "folders": {count: asdict(cost) for count, cost in costs.items()},
        "start of a process, s": start,
        "one more volume, s": marginal,
        f"finding a part among {_COHORT} files, s": listing_s,
        f"{_COHORT} volumes in parts of {_SCANS_A_PART}, processor hours": hours,
    }


def as_table(costs: dict[int, Cost]) -> str:
    """The rows of docs/results.md; what one more volume costs comes from this row and the one above."""
    rows, before = ["| volumes | wall, s | processor, s | one more volume, s |", "|---|---|---|---|"], None
    for count, cost in sorted(costs.items()):
        more = (cost.processor_s - costs[before].processor_s) / (count - before) if before else None
        rows.append(f"| {count} | {cost.wall_s:.1f} | {cost.processor_s:.1f} | {'' if more is None else f'{more:.3f}'} |")
        before = count
    return "\n".join(rows)


def _median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(one.wall_s for one in costs), statistics.median(one.processor_s for one in costs))


def _cost(count: int, spacing: float) -> Cost:
    """Of one process that translates `count` different volumes."""
    head = phantom("T1", (spacing,) * 3)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            array = head.array.copy()
            array[0, 0, 0] = number
            write_volume(head.with_array(array), Path(folder, "scans", f"{number:05d}.nii.gz"))
        command = [sys.executable, "-m", "T1T2TranslationLib", "translate", f"{folder}/scans", "-o", f"{folder}/out"]
        start, before = time.perf_counter(), _childrens_processor_s()
        subprocess.run([*command, "--device", "cpu", "--quiet", "--force"], check=True)
        return Cost(time.perf_counter() - start, _childrens_processor_s() - before)


def _childrens_processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _listing_s() -> float:
    """Processor time of finding one part's scans in a cohort's folder, which each part does."""
    with tempfile.TemporaryDirectory() as folder:
        for patient in range(_COHORT // 100):
            place = Path(folder, f"sub-{patient:05d}")
            place.mkdir()
            for number in range(100):
                (place / f"T1w-{number}.nii.gz").touch()
        start = time.process_time()
        find_scans(folder, Shard(1, _COHORT // _SCANS_A_PART).holds)
        return time.process_time() - start


if __name__ == "__main__":
    main()
