"""`make bench`: the same volumes through our path and through what a user would otherwise write; JSON, table, plot.

Each contender runs in a process of its own, all of them in turn and that several times, so that a busy moment hits all alike;
what is reported are medians, and ratios to ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import contender
import machine
import numpy as np
import scans

# A slice loop over a large volume takes most of an hour and each step as long as the last: so many slices are timed of it.
_SLICES_OF_LARGE = 12
_STAGES = ("import", "load model", "read", "preprocess", "network", "restore", "write", "translate")
_BASELINE = "MONAI BasicUNet"

Run = dict[str, Any]


def main() -> None:
    """Measure, write, print."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    sizes = ["128x128x60"] if options.quick else options.sizes
    rounds = min(2, options.rounds) if options.quick else options.rounds
    report: dict[str, Any] = {"machine": _machine(), "rounds": rounds, "peak GFLOP/s": {}, "volumes": {}}
    with tempfile.TemporaryDirectory() as folder:
        paths = {size: scans.write_scan(size, Path(folder) / f"{size}.nii.gz") for size in sizes}
        for device in _devices():
            report["peak GFLOP/s"][device] = machine.convolution_peak(device)
            for size, path in paths.items():
                report["volumes"][f"{size} on {device}"] = _compare(path, size, device, rounds, options)
            middle = paths["240x240x155" if "240x240x155" in paths else sizes[0]]
            report[f"warm worker on {device}"] = machine.worker_round_trip(middle, device, rounds)
        report["cold shell"] = machine.cold(middle, rounds)
    report["opening the panel"] = machine.opening(rounds)
    for device in _devices():
        _add_share_of_peak(report, device)
    (options.output / "bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    table = as_table(report)
    (options.output / "bench.md").write_text(table, encoding="utf-8")
    print(table)
    plot(report, options.output / "bench.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest volume, twice, few slices of the slow peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", choices=list(scans.SIZES), default=list(scans.SIZES))
    parser.add_argument("--contenders", nargs="+", choices=[*contender.OURS, *contender.PEERS])
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    options.contenders = options.contenders or [*contender.OURS, *contender.PEERS]
    return options


def _devices() -> list[str]:
    import torch

    return ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def _machine() -> dict[str, Any]:
    import torch

    model = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return {
        "cpu": model[0] if model else platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "load before": os.getloadavg()[0],
    }


def _compare(path: Path, size: str, device: str, rounds: int, options: argparse.Namespace) -> dict[str, Run]:
    """Medians of each contender over `rounds`, taken in turn."""
    runs: dict[str, list[Run]] = {name: [] for name in options.contenders}
    slices = 4 if options.quick else _SLICES_OF_LARGE if size == "512x512x300" else 0
    for number in range(rounds):
        for name in options.contenders:
            if name in contender.PEERS and slices and number >= 2:
                continue  # the loops of the large volume are timed twice
            command = [sys.executable, contender.__file__, name, str(path), "--device", device, "--slices", str(slices)]
            runs[name].append(_run(command))
    found = {name: _median(taken) for name, taken in runs.items()}
    for run in found.values():
        run["times ours"] = run["stages"]["translate"] / found["ours"]["stages"]["translate"] if "ours" in found else None
    return found


def _run(command: list[str]) -> Run:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(machine.LIB_PARENT), str(Path(__file__).parent)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:3])} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _median(runs: list[Run]) -> Run:
    stages = {stage: statistics.median(run["stages"][stage] for run in runs) for stage in runs[0]["stages"]}
    spread = [run["stages"]["translate"] for run in runs]
    return {**runs[0], "stages": stages, "translate from to": [min(spread), max(spread)], "runs": len(runs)}


def _add_share_of_peak(report: dict[str, Any], device: str) -> None:
    """Which part of the machine's convolution peak, in its precision, the network stage reaches."""
    for name, contenders in report["volumes"].items():
        if name.endswith(f" on {device}"):
            for run in contenders.values():
                if "gflop" in run:
                    speed = run["gflop"] / run["stages"]["network"]
                    run["share of peak"] = speed / report["peak GFLOP/s"][device][run["precision"]]


def as_table(report: dict[str, Any]) -> str:
    """Markdown: one table a volume, and a line for the worker and the panel."""
    lines = [f"Machine: {report['machine']['cpu']}, {report['machine']['cpus']} cores, torch {report['machine']['torch']}", ""]
    for volume, contenders in report["volumes"].items():
        lines += [f"**{volume}**, medians of {report['rounds']} rounds in turn, seconds", ""]
        lines += [f"| | {' | '.join(_STAGES)} | times ours | peak GiB | share of peak |", "|---" * (len(_STAGES) + 4) + "|"]
        for name, run in contenders.items():
            part = run.get("share of slices", 1)
            label = name if part == 1 else f"{name} ({part:.0%} of slices, times {1 / part:.3g})"
            cells = [f"{run['stages'][stage]:.2f}" for stage in _STAGES]
            share = f"{run['share of peak']:.0%}" if "share of peak" in run else ""
            ratio = "" if run["times ours"] is None else f"{run['times ours']:.1f}"
            memory = run.get("peak GPU memory, GiB", run["peak memory, GiB"])
            lines.append(f"| {label} | {' | '.join(cells)} | {ratio} | {memory:.2f} | {share} |")
        lines.append("")
    for name, found in report.items():
        if name.startswith("warm worker"):
            lines.append(f"{name}: {found['worker']:.2f} s, translate {found['translate']:.2f} s, ratio {found['ratio']:.2f}.")
    lines.append(f"Cold shell: {report['cold shell']['seconds']:.2f} s, {report['cold shell']['peak memory, GiB']:.2f} GiB.")
    lines.append(f"Opening the panel: {report['opening the panel']['ms']:.0f} ms of our own, without torch.")
    return "\n".join(lines) + "\n"


def plot(report: dict[str, Any], path: Path) -> None:
    """Seconds of a whole translation in memory, on a logarithmic scale, one panel a volume."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    volumes = report["volumes"]
    figure, panels = pyplot.subplots(1, len(volumes), figsize=(4.6 * len(volumes) + 1.2, 3.2), squeeze=False, sharey=True)
    for panel, (volume, contenders) in zip(panels[0], volumes.items(), strict=True):
        names = list(contenders)[::-1]
        seconds = [contenders[name]["stages"]["translate"] for name in names]
        colours = ["#1f77b4" if name in contender.OURS else "#9aa5b1" for name in names]
        bars = panel.barh(names, seconds, color=colours)
        panel.bar_label(bars, [f"{value:.2g} s" if value < 10 else f"{value:.0f} s" for value in seconds], padding=3, fontsize=8)
        panel.set_xscale("log")
        panel.set_xlim(10 ** np.floor(np.log10(min(seconds) / 2)), 10 ** np.ceil(np.log10(max(seconds) * 4)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter("")
        panel.set_title(volume, fontsize=10)
        panel.set_xlabel("seconds, whole volume in memory")
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
