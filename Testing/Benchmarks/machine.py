"""What the machine can do, and what the program costs beside the network: convolution peak, warm worker, opening the panel."""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIB_PARENT = ROOT / "T1T2Translation"
# Channels, height, width of 3 x 3 convolutions like the network's; the quickest is the machine's peak.
_SHAPES = ((64, 120, 120), (64, 60, 60), (128, 60, 60), (192, 30, 30), (256, 60, 60))
_BATCH, _TRIES = 8, 8


def convolution_peak(device: str = "cpu") -> dict[str, float]:
    """GFLOP/s of the best 3 x 3 convolution in channels-last order, by precision; what no network of them can exceed."""
    import torch

    best: dict[str, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        for channels, height, width in _SHAPES:
            layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(device, dtype, memory_format=torch.channels_last)
            planes = torch.rand(_BATCH, channels, height, width).to(device, dtype, memory_format=torch.channels_last)
            flop = 2 * 9 * channels * channels * height * width * _BATCH
            seconds = _best_seconds(layer, planes, torch)
            name = str(dtype).removeprefix("torch.")
            best[name] = max(best.get(name, 0.0), flop / seconds / 1e9)
    return best


def _best_seconds(layer: Any, planes: Any, torch: Any) -> float:
    taken = []
    with torch.inference_mode():
        for _ in range(2 + _TRIES):
            start = time.perf_counter()
            layer(planes)
            if planes.is_cuda:
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
    return min(taken[2:])


def worker_round_trip(scan: Path, device: str, rounds: int) -> dict[str, float]:
    """Seconds of a request to a warm worker, images through files and back, beside `translate` in this process, in turn."""
    sys.path[:0] = [str(LIB_PARENT)]
    from T1T2TranslationLib import protocol
    from T1T2TranslationLib.inference import translate
    from T1T2TranslationLib.io import read_volume
    from T1T2TranslationLib.job import Job
    from T1T2TranslationLib.model import load_model

    volume, model = read_volume(scan), load_model("t1_to_t2")
    command = [sys.executable, "-m", "T1T2TranslationLib.worker"]
    environment = {**os.environ, "PYTHONPATH": str(LIB_PARENT)}
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, stderr=subprocess.DEVNULL)
    assert worker.stdin
    assert worker.stdout

    def ask() -> None:
        with tempfile.TemporaryDirectory() as folder:
            job = Job({"volume": volume, "model": "t1_to_t2", "device": device, "accept_any_input": True}, folder)
            worker.stdin.write(protocol.encode(job.request).encode())
            worker.stdin.flush()
            event: dict[str, Any] = {}
            while event.get("event") not in ("done", "error"):
                event = protocol.decode(worker.stdout.readline())
            job.result(event)
            job.remove()

    actions = {"translate": lambda: translate(volume, model, device=device, accept_any_input=True), "worker": ask}
    times: dict[str, list[float]] = {name: [] for name in actions}
    try:
        for number in range(1 + rounds):
            for name, action in actions.items():
                start = time.perf_counter()
                action()
                if number:
                    times[name].append(time.perf_counter() - start)
    finally:
        worker.stdin.close()
        worker.wait()
    found = {name: statistics.median(taken) for name, taken in times.items()}
    return {**found, "ratio": found["worker"] / found["translate"]}


def own_peak_gib() -> float:
    """Peak resident memory of this program alone; `ru_maxrss` also counts what its parent held when it forked."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    return int(lines["VmHWM"].split()[0]) / 2**20


# Runs a command from a small process, whose own memory does not count, and says what the command's peak was.
_PEAK_OF = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)
"""


def cold(scan: Path, rounds: int) -> dict[str, float]:
    """Seconds and peak GiB of whole `t1t2 translate` processes, from start to written files."""
    environment = {**os.environ, "PYTHONPATH": str(LIB_PARENT)}
    seconds, memory = [], []
    for _ in range(rounds):
        command = [sys.executable, "-m", "T1T2TranslationLib", "translate", str(scan), "--quiet", "--force"]
        command += ["-o", str(scan.with_name("t2.nii.gz")), "--error-map", str(scan.with_name("error.nii.gz"))]
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", _PEAK_OF, *command], env=environment, capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
        memory.append(float(done.stdout))
    return {"seconds": statistics.median(seconds), "peak memory, GiB": max(memory)}


_OPENING = """
import json, sys, time
import numpy, SimpleITK  # which Slicer has loaded
start = time.perf_counter()
exec(sys.argv[1])
from T1T2TranslationLib import catalog
cards = catalog.list_models()
print(json.dumps({"ms": 1000 * (time.perf_counter() - start), "torch": "torch" in sys.modules, "models": len(cards)}))
"""


def opening(rounds: int) -> dict[str, Any]:
    """Milliseconds of our own when the panel opens: what the module's file imports of ours, and listing the models."""
    tree = ast.parse((LIB_PARENT / "T1T2Translation.py").read_text("utf-8"))
    ours = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("T1T2TranslationLib")
    ]
    code = "\n".join(ast.unparse(node) for node in ours)
    environment = {**os.environ, "PYTHONPATH": str(LIB_PARENT)}
    found = []
    for _ in range(1 + rounds):
        done = subprocess.run([sys.executable, "-c", _OPENING, code], env=environment, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    assert not found[0]["torch"]
    return {"ms": statistics.median(one["ms"] for one in found[1:]), "loads torch": False}
