"""What the study of 2020 shows of a volume: its Table 1, errors slice by slice, and slices side by side with their losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..metrics import SliceErrors
from ..regions import bounding_box
from ..subjects import Case
from ..volume import nearest_axes

# Avula, Conte and Erickson 2020, Table 1: one volume; frame, unit and number of slices are not stated there.
STUDY = "Avula, Conte, Erickson 2020"
STUDY_TABLE = {"total MSE": 0.81000, "total MAE": 4.39369, "MSE": 0.00854, "MAE": 0.05142}
FRAME = (
    "Frame (the most probable one; the study does not state its own): intensities as shares of the real T2's 99.5th percentile "
    "over the brain, axial slices cropped to the brain's box, those with more than 17 % brain. Total: sum over a volume's "
    "slices. Average: mean over them."
)
PANEL_SLICES = 5
_PICTURE_MARGIN = 5  # voxels around the brain


@dataclass(frozen=True, eq=False)
class PanelRow:
    """One axial slice: its number along the axial axis, its errors, and its pictures (rows, columns) by name, in the unit."""

    number: int
    absolute: float
    squared: float
    pictures: Mapping[str, np.ndarray]


def panel_rows(case: Case, images: Mapping[str, np.ndarray], errors: SliceErrors) -> tuple[PanelRow, ...]:
    """Slices evenly spread over those that the study's frame takes, from the feet up.

    images: name -> array (i, j, k). Empty where the frame takes no slice.
    """
    count = errors.numbers.size
    spread = np.linspace(0, count - 1, PANEL_SLICES + 2).round().astype(int)[1:-1]
    rows = [
        PanelRow(
            int(errors.numbers[index]),
            float(errors.absolute[index]),
            float(errors.squared[index]),
            axial_pictures(case, images, int(errors.numbers[index])),
        )
        for index in (np.unique(spread) if count else ())
    ]
    return tuple(rows if case.volume.affine[2, case.axial_axis] > 0 else rows[::-1])


def axial_pictures(case: Case, images: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """One axial slice of every image, cropped to the brain: anterior up, the patient's right on the left, float16.

    number: the slice's index along the axial axis of the grid.
    """
    order, flipped = nearest_axes(case.volume.affine)
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
    columns, rows, _ = bounding_box(case.brain.transpose(order)[steps], _PICTURE_MARGIN)
    height = case.brain.shape[order[2]] - 1 - number if flipped[2] else number
    return {
        name: image.transpose(order)[steps][columns, rows, height].T[::-1, ::-1].astype(np.float16)
        for name, image in images.items()
    }


def telling_slice(case: Case) -> int:
    """Index along the axial axis of the slice with most tumour, or most brain where there is none."""
    mask = case.masks.get("tumour", case.brain)
    return int(np.moveaxis(mask, case.axial_axis, 0).sum(axis=(1, 2)).argmax())


def best_median_worst(errors: Sequence[float]) -> dict[str, int]:
    """ "best", "median", "worst" -> index of the subject, by its error; fewer where subjects are fewer."""
    order = np.argsort(errors, kind="stable")
    places = {"best": 0, "worst": len(order) - 1, "median": len(order) // 2}
    found: dict[str, int] = {}
    for name, place in places.items():
        if 0 <= place < len(order) and int(order[place]) not in found.values():
            found[name] = int(order[place])
    return {name: found[name] for name in ("best", "median", "worst") if name in found}
