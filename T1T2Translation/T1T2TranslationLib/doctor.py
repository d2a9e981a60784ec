"""What a helper needs to know when something fails: versions, device, models, last log lines, and nothing about patients."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import __version__
from .catalog import list_models

_PACKAGES = ("numpy", "SimpleITK", "torch", "pydicom", "matplotlib", "monai")
_LAST_LINES = 30
_PATIENCE_S = 120
# Torch is tried in a process of its own: one that crashes on import must not take the program along.
_TRY_TORCH = """
import json, torch
found = {"torch": torch.__version__, "threads": torch.get_num_threads(), "cuda build": str(torch.version.cuda)}
if torch.cuda.is_available():
    found["graphics card"] = torch.cuda.get_device_name(0)
    free, total = torch.cuda.mem_get_info(0)
    found["graphics memory"] = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    torch.nn.functional.conv2d(torch.rand(1, 1, 8, 8, device="cuda"), torch.rand(1, 1, 3, 3, device="cuda")).cpu()
    found["convolution on it"] = "works"
found["mps"] = str(torch.backends.mps.is_available())
print(json.dumps(found))
"""
_NVIDIA = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
# What could name a patient: quoted names, anything with a folder in it, long numbers and UIDs, dates.
_PRIVATE = (
    (re.compile(r"'[^'\n]*'|\"[^\"\n]*\""), "'...'"),
    (re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\s\\/:]+[\\/])*[^\s:,;)]+"), "<path>"),
    (re.compile(r"\S+\.(?:nii|gz|nrrd|nhdr|mha|mhd|dcm|hdr|img|json|html)\b", re.IGNORECASE), "<file>"),
    (re.compile(r"\b\d{1,4}(?:[.\-]\d+){2,}\b"), "<number>"),
    (re.compile(r"\b\d{5,}\b"), "<number>"),
    (re.compile(r"\b\w+\^\w+\b"), "<name>"),
)


def report(facts: Mapping[str, str] | None = None, log_lines: Iterable[str] = (), executable: str = sys.executable) -> str:
    """The report as plain text; `facts`: what only the caller knows, such as Slicer's version. Takes seconds: torch is loaded.

    log_lines: the last of them are shown, without names, paths, dates and numbers.
    """
    parts = [
        ("T1T2Translation doctor", {**(facts or {}), **_system()}),
        ("Packages", {name: _version(name) for name in _PACKAGES}),
        ("PyTorch, tried in a process of its own", _tried_torch(executable)),
        ("Graphics driver", _driver()),
        ("Models", {card.name: _model_line(card.sha256, card.version, card.usable) for card in list_models()}),
    ]
    text = "\n\n".join(f"{title}\n" + "\n".join(f"  {key}: {value}" for key, value in lines.items()) for title, lines in parts)
    last = [f"  {without_names(line)}" for line in list(log_lines)[-_LAST_LINES:]]
    return text + "\n\nLast log lines, without names, paths and numbers\n" + ("\n".join(last) or "  none") + "\n"


def without_names(line: str) -> str:
    """A log line without what could name a patient."""
    for pattern, instead in _PRIVATE:
        line = pattern.sub(instead, line)
    return line.rstrip()


def _system() -> dict[str, str]:
    return {
        "T1T2Translation": __version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{os.cpu_count()} cores",
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _model_line(sha256: str, version: str, is_usable: bool) -> str:
    return f"{version} {sha256}" if is_usable else "cannot be used"


def _tried_torch(executable: str) -> dict[str, str]:
    done = _output_of((executable, "-c", _TRY_TORCH))
    try:
        return dict(json.loads(done.splitlines()[-1]))
    except (ValueError, IndexError):
        return {"fails": without_names((done.strip().splitlines() or ["no answer"])[-1])}


def _driver() -> dict[str, str]:
    return {"nvidia-smi": _output_of(_NVIDIA).strip().splitlines()[0] if _has_nvidia() else "not there"}


def _has_nvidia() -> bool:
    return any(Path(folder, _NVIDIA[0] + end).is_file() for folder in os.get_exec_path() for end in ("", ".exe"))


def _output_of(command: tuple[str, ...]) -> str:
    """What a program writes, to either channel; why it could not, if so."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}"
    return done.stdout if done.returncode == 0 else done.stderr
