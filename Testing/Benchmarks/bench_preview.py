"""How soon after Apply the panel shows a preview, and the whole result: the real panel and its warm worker, 240x240x155."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import scans
import slicer
from Host import session
from T1T2TranslationLib.io import read_volume

MODULE = Path(__file__).resolve().parents[2] / "T1T2Translation" / "T1T2Translation.py"
_SIZE = "240x240x155"
_PATIENCE_S = 300


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    host, panel = _opened()
    rounds = [_seconds(host, panel) for _ in range(1 + options.rounds)][1:]  # the first one warms the worker up
    host.close_widgets()
    report = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    report |= {"volume": _SIZE, "rounds": rounds, "threads": os.environ.get("OMP_NUM_THREADS", "all")}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "preview.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2), flush=True)
    os._exit(0)  # MRML's own end complains of views that are gone


def _opened():
    """The host and the panel, a scan chosen and in the views."""
    host = session.host()
    host.restart()
    panel = host.open_panel(host.load_module(MODULE))
    with tempfile.TemporaryDirectory() as folder:
        volume = read_volume(scans.write_scan(_SIZE, Path(folder) / "T1.nii.gz"))
    node = slicer.util.addVolumeFromArray(volume.array.transpose(2, 1, 0), volume.affine, "T1")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    panel._parameterNode.inputVolume = node
    panel._parameterNode.device = "cpu"
    host.process_events(1000)  # the traffic light has looked
    return host, panel


def _seconds(host, panel) -> dict[str, float]:
    """From the press to the preview in the views, and to the whole result."""
    start = time.perf_counter()
    panel.ui.applyButton.click()
    answered = time.perf_counter() - start
    host.wait_until(lambda: "preview" in _shown() or not panel.worker.talk.is_busy, _PATIENCE_S)
    if "preview" not in _shown():
        raise SystemExit("\n".join([*host.failures, panel.ui.messageLabel.text, panel.ui.applyButton.toolTip]))
    preview = time.perf_counter() - start
    host.wait_until(lambda: not panel.worker.talk.is_busy, _PATIENCE_S)
    whole = time.perf_counter() - start
    return {"button answers after, s": answered, "preview after, s": preview, "whole result after, s": whole}


def _shown() -> str:
    view = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    return slicer.mrmlScene.GetNodeByID(view.GetBackgroundVolumeID()).GetName()


if __name__ == "__main__":
    main()
