"""Makes every picture in docs/images: `make pictures` translates the MNI152 template in the real panel, on the headless host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("QT_SCALE_FACTOR", "1.5")  # before Qt starts: the panel's letters stay readable
os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")  # off screen, Qt complains of what no picture shows

import demo
import numpy as np
import panel_pictures
import slicer
from Host import session, slice_view
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from T1T2TranslationLib.io import read_volume
from T1T2TranslationLib.volume import Volume
from vtk.util.numpy_support import vtk_to_numpy

MODULE = Path(__file__).resolve().parents[1] / "T1T2Translation" / "T1T2Translation.py"
VIEWS = ("Red", "Green", "Yellow")  # axial, coronal, sagittal
CENTRE_MM = (-12.0, -14.0, 10.0)  # RAS: through ventricles and deep grey matter
TILE = (360, 340)  # pixels of a slice view: width, height
WIDE_TILE = (640, 400)  # as wide as Slicer's own views
LENS_TILE = (440, 340)  # room for what the corner says of the lens
LENS_THRESHOLD = 60.0  # low, so that the lens has something to show
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_S = 300
# What lies at the negative and at the positive end of the patient's axes.
LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
LEGEND_TITLE = "Predicted error"
LEGEND_FROM = "shown from {:.0f}"
LEGEND_UNIT = "1000 = 99.5th\npercentile of T2\nover the brain"
LEGEND_WIDTH, LEGEND_HEIGHT, TITLE_HEIGHT, MARGIN, GAP = 180, 200, 44, 10, 30  # pixels


def main(folder: Path) -> int:
    """Write every picture as PNG into `folder`; report.png only where a browser is found."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if demo.main(Path(scratch)):
            return 1
        host = session.host()
        host.restart()
        panel = host.open_panel(host.load_module(MODULE))
        panel._parameterNode.inputVolume = load(read_volume(Path(scratch) / "MNI152-T1.nii.gz"))
        before = panel_pictures.whole(host, panel)
        panel.ui.applyButton.click()
        host.wait_until(lambda: not panel.worker.talk.is_busy, TIMEOUT_S)
        if panel._parameterNode.syntheticVolume is None:
            raise SystemExit(panel.ui.messageLabel.text)
        save(side_by_side(before, panel_pictures.whole(host, panel)), folder / "panel.png")
        save(slices(panel._parameterNode.inputVolume), folder / "slices.png")
        save(opacity(panel), folder / "opacity.png")
        save(lens(panel), folder / "lens.png")
        save(compare(panel), folder / "compare.png")
        save(overview(panel._parameterNode), folder / "overview.png")
        for name, picture in panel_pictures.make(host, panel, Path(scratch)).items():
            save(picture, folder / f"{name}.png")
        if host.failures:  # a panel that fails would be shown half filled
            raise SystemExit("\n".join(host.failures))
        host.close_widgets()
        photograph(Path(scratch) / "report.html", folder / "report.png")
    return 0


# ---- the panel


def load(volume: Volume):
    """The volume as a node, shown in the slice views as Slicer shows what it has loaded."""
    node = slicer.util.addVolumeFromArray(volume.array.transpose(2, 1, 0), volume.affine, "MNI152 T1")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures with a white gap; the lower one is lengthened by its last row."""
    height = max(len(left), len(right))
    left, right = (np.pad(picture, ((0, height - len(picture)), (0, 0), (0, 0)), mode="edge") for picture in (left, right))
    return np.concatenate([left, np.full_like(left[:, :GAP], 255), right], axis=1)


# ---- the slice views


def slices(t1) -> np.ndarray:
    """The input, and the slice views as the panel leaves them."""
    hide_legends()
    axial, coronal, sagittal = (view(name, WIDE_TILE, "SYNTHETIC T2 with predicted error") for name in VIEWS)
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    shown = composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()
    composite.SetBackgroundVolumeID(t1.GetID())
    composite.SetForegroundVolumeID(None)
    original = view("Red", WIDE_TILE, "T1")
    composite.SetBackgroundVolumeID(shown[0])
    composite.SetForegroundVolumeID(shown[1])
    error = slicer.mrmlScene.GetNodeByID(shown[1])
    return with_legend(sheet([[original, axial], [coronal, sagittal]]), error)


def opacity(panel) -> np.ndarray:
    """What the panel's slider does."""
    hide_legends()
    row = []
    slider = viewing(panel).ui.opacitySlider
    for value in (0.0, 0.5, 1.0):
        slider.setValue(value)
        hide_legends()
        row.append(view("Red", TILE, f"Opacity {value:g}"))
    slider.setValue(0.5)
    return with_legend(sheet([row]), panel._parameterNode.predictedErrorVolume)


def lens(panel) -> np.ndarray:
    """What the trust lens does, without the error map's colours."""
    ui, row = viewing(panel).ui, []
    ui.overlayCheckBox.setChecked(False)
    ui.thresholdSlider.setValue(LENS_THRESHOLD)
    for value in (0.0, 0.5, 1.0):
        ui.lensSlider.setValue(value)
        row.append(view("Red", LENS_TILE, f"Trust lens {value:g}"))
    ui.lensSlider.setValue(0.0)
    ui.overlayCheckBox.setChecked(True)
    ui.thresholdSlider.setValue(100.0)
    return sheet([row])


def compare(panel) -> np.ndarray:
    """The compare layout as one press arranges it."""
    from T1T2TranslationSlicer import compare_layout  # after the host has put Slicer's modules in place

    viewing(panel).ui.compareButton.click()
    hide_legends()
    titles = dict(zip(compare_layout.COLUMNS, ("T1", "SYNTHETIC T2", "SYNTHETIC T2 + predicted error"), strict=True))
    rows = [
        [
            view(compare_layout.viewName(column, plane), TILE, title if plane == "Axial" else "")
            for column, title in titles.items()
        ]
        for plane in compare_layout.PLANES
    ]
    viewing(panel).ui.compareButton.click()
    return with_legend(sheet(rows), panel._parameterNode.predictedErrorVolume)


def viewing(panel):
    """The panel's section "View"."""
    return next(section for section in panel.sections if type(section).__name__ == "ViewingSection")


def overview(parameters) -> np.ndarray:
    """T1, synthetic T2, and the predicted error over it."""
    hide_legends()
    t1, t2, error = parameters.inputVolume, parameters.syntheticVolume, parameters.predictedErrorVolume
    layers = {"T1": (t1, None), "SYNTHETIC T2": (t2, None), "SYNTHETIC T2 + predicted error": (t2, error)}
    row = []
    for title, (background, foreground) in layers.items():
        slicer.util.setSliceViewerLayers(background=background, foreground=foreground, foregroundOpacity=0.5)
        row.append(view("Red", TILE, title))
    return with_legend(sheet([row]), error)


def hide_legends() -> None:
    """Slicer's own legends are drawn larger off screen than in Slicer, over the head; the sheet gets another."""
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        legend.SetVisibility(False)


def view(name: str, size: tuple[int, int], title: str) -> np.ndarray:
    """A slice view of the layout through CENTRE_MM under a title, with the patient's directions; (rows, columns, 3) uint8."""
    logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName(name)
    logic.ResizeSliceNode(*size)
    logic.FitSliceToBackground()
    logic.GetSliceNode().JumpSliceByOffsetting(*CENTRE_MM)
    pixels = slice_view.render_view(None, name, size=size)
    picture = Image.fromarray(np.pad(pixels, ((TITLE_HEIGHT if title else 0, 0), (0, 0), (0, 0))))
    write(picture, (size[0] / 2, TITLE_HEIGHT / 2), "mm", title, 19)
    (width, height), top = size, picture.height - size[1]
    places = {
        "left": ((MARGIN, top + height / 2), "lm"),
        "right": ((width - MARGIN, top + height / 2), "rm"),
        "top": ((width / 2, top + MARGIN), "mt"),
        "bottom": ((width / 2, top + height - MARGIN), "mb"),
    }
    for side, letter in directions(logic.GetSliceNode()).items():
        write(picture, *places[side], letter, 20)
    write(picture, (MARGIN, top + height - MARGIN), "lb", logic.GetSliceNode().GetOrientation(), 16)
    return np.asarray(picture)


def directions(slice_node) -> dict[str, str]:
    """Which of the patient's directions lies at each edge of a slice view: "left", "right", "bottom", "top" -> letter."""
    matrix = slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())
    letters = {}
    for column, (start, end) in enumerate((("left", "right"), ("bottom", "top"))):
        axis = int(np.abs(matrix[:3, column]).argmax())
        is_positive = bool(matrix[axis, column] > 0)
        letters[start], letters[end] = LETTERS[axis][not is_positive], LETTERS[axis][is_positive]
    return letters


# ---- sheets


def sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Views in rows and columns, with thin lines between them."""
    lined = [[np.pad(view, ((0, 1), (0, 1), (0, 0)), constant_values=70) for view in row] for row in rows]
    return np.concatenate([np.concatenate(row, axis=1) for row in lined])[:-1, :-1]


def with_legend(picture: np.ndarray, error) -> np.ndarray:
    """The picture with the colours and the window of an error node at its right."""
    display = error.GetDisplayNode()
    table = vtk_to_numpy(display.GetColorNode().GetLookupTable().GetTable())[:, :3]  # dark to bright
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    height = len(picture)
    top, bottom = height // 2 - LEGEND_HEIGHT // 2, height // 2 + LEGEND_HEIGHT // 2
    legend = np.zeros((height, LEGEND_WIDTH, 3), dtype=np.uint8)
    legend[top:bottom, MARGIN : MARGIN + 30] = table[np.linspace(len(table) - 1, 0, bottom - top).astype(int), None]
    image = Image.fromarray(legend)
    write(image, (MARGIN, top - 38), "ld", LEGEND_TITLE, 18)
    write(image, (MARGIN, top - 16), "ld", LEGEND_FROM.format(display.GetLowerThreshold()), 16)
    for share in (0, 0.25, 0.5, 0.75, 1):
        write(image, (MARGIN + 42, bottom + share * (top - bottom)), "lm", f"{low + share * (high - low):.0f}", 18)
    write(image, (MARGIN, bottom + 16), "la", LEGEND_UNIT, 16)
    return np.concatenate([picture, np.asarray(image)], axis=1)


def write(picture: Image.Image, place: tuple[float, float], anchor: str, text: str, size: int) -> None:
    """White letters with a dark rim."""
    font = ImageFont.truetype(findfont("DejaVu Sans"), size)
    ImageDraw.Draw(picture).text(place, text, "white", font, anchor, stroke_width=2, stroke_fill="black")


def save(picture: np.ndarray, path: Path) -> None:
    """Write a PNG as small as it can be without loss."""
    Image.fromarray(picture).save(path, optimize=True)


def photograph(page: Path, path: Path) -> None:
    """The top of a page as a browser shows it; without a browser the picture that is there stays."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1"]
    command = [browser, *options, "--window-size=1000,950", f"--screenshot={path}", page.as_uri()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Image.open(path) as picture:
        save(np.asarray(picture.convert("RGB")), path)


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(status)  # Qt and MRML may not survive Python's own end
