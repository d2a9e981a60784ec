"""How long a 240 x 240 x 155 volume takes, cold from the shell and warm in memory, and at what peak of memory: `make bench`."""

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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from nilearn.datasets import load_mni152_template
from T1T2TranslationLib.inference import predict, translate
from T1T2TranslationLib.io import read_volume
from T1T2TranslationLib.model import load_model

SHAPE = (240, 240, 155)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "t1.nii.gz"
        _write_sample(scan)
        cold = [_cold(scan) for _ in range(options.runs)]
        result = {
            "volume": "x".join(map(str, SHAPE)),
            "cpus": len(os.sched_getaffinity(0)),
            "torch": torch.__version__,
            "runs": options.runs,
            "cold: t1t2 translate, seconds": _spread([seconds for seconds, _ in cold]),
            "cold: peak memory, GiB": _spread([memory for _, memory in cold]),
            **_warm(scan, options.runs),
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, value in result.items():
        print(f"{name:40s} {value}")


def _write_sample(path: Path) -> None:
    """The MNI152 template on BraTS's grid, noise on the brain so that it compresses as badly as a real scan."""
    template = load_mni152_template(resolution=1)
    brain = np.asarray(template.dataobj, dtype=np.float32)
    brain = brain / brain.max() * 1000
    canvas = np.zeros(SHAPE, dtype=np.int16)
    noise = np.random.default_rng(0).normal(0, 15, brain.shape)
    fitted = np.where(brain > 0, brain + noise, 0)[:, :, 20:175]
    canvas[20:217, 3:236] = fitted.clip(0)
    image = sitk.GetImageFromArray(canvas.transpose(2, 1, 0))
    sitk.WriteImage(image, str(path))


def _cold(scan: Path) -> tuple[float, float]:
    """Wall seconds and peak GiB of a whole `t1t2 translate` process."""
    command = [sys.executable, "-m", "T1T2TranslationLib", "translate", str(scan), "--quiet"]
    command += ["-o", str(scan.with_name("t2.nii.gz")), "--error-map", str(scan.with_name("error.nii.gz"))]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"t1t2 translate failed with status {status}")
    return seconds, usage.ru_maxrss / 2**20


def _warm(scan: Path, runs: int) -> dict[str, object]:
    """Stages of one process that has everything loaded, seconds."""
    volume, model = read_volume(scan), load_model("t1_to_t2")
    translate(volume, model)
    planes = model.preprocessing.prepare(volume)
    return {
        "warm: read": _times(lambda: read_volume(scan), runs),
        "warm: prepare": _times(lambda: model.preprocessing.prepare(volume), runs),
        "warm: network": _times(lambda: predict(model, planes), runs),
        "warm: restore one image": _times(lambda: planes.grid.backward(planes.values, np.int16), runs),
        "warm: translate, seconds": _times(lambda: translate(volume, model), runs),
        "device": " ".join(translate(volume, model).provenance[key] for key in ("device", "precision")),
        "this process's peak, GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def _times(action: Callable[[], object], runs: int) -> dict[str, float]:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return _spread(seconds)


def _spread(values: list[float]) -> dict[str, float]:
    return {"min": round(min(values), 3), "median": round(statistics.median(values), 3), "max": round(max(values), 3)}


if __name__ == "__main__":
    main()
