"""Is this a scan that the model can translate? Looked at before anything is computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .errors import UnsuitableVolume
from .head import Head, find_head
from .translation import Check
from .volume import Volume

_FEWEST_SLICES = 16
_VOXEL_RANGE_MM = (0.4, 6.5)
_LEAST_HEAD_MM = 90.0
_MOST_TILT_DEGREES = 30.0
# Below this many distinct values inside the head an image of whole numbers is a label map.
_LABEL_VALUES = 64
# A segmentation with more segments than this is none.
_MOST_MASK_VALUES = 256
# Air of a CT is near -1000 HU; no MR scanner writes a background below this share of its tissue.
_CT_AIR = -200.0
# Inner head of a T1, white matter 1: cerebrospinal fluid is dark, so its 95th percentile stays low (measured: 1.04-1.13 on 17
# T1, 1.43-2.12 on 17 T2). A T2 also has its first quartile low (0.35-0.70), an enhanced T1 as bright has not (0.81-0.82).
_BRIGHT_P95 = 1.3
_T2_P25 = 0.76
_ENHANCED_P99 = 1.25


def check_input(volume: Volume, head: Head, source_sequence: str = "T1") -> tuple[Check, ...]:
    """Every check of one input, in the order they are shown; those on contrast only where the model expects a T1."""
    checks: list[Callable[[Volume, Head], Check]] = [_slices, _voxel_size, _coverage, _tilt, _modality, _kind]
    if source_sequence == "T1":
        checks.append(_contrast)
    return tuple(check(volume, head) for check in checks)


def refuse_if_red(checks: tuple[Check, ...], name: str) -> None:
    """Raise UnsuitableVolume with every reason why the input is refused."""
    reasons = [check.message for check in checks if check.level == "red"]
    if reasons:
        raise UnsuitableVolume(
            f"'{name}' was refused: {' '.join(reasons)}",
            "Choose a suitable scan, or insist: --force in the shell, Advanced in the panel.",
        )


def refuse_unfit_mask(mask: Volume) -> None:
    """Raise UnsuitableVolume if `mask` is a greyscale image; segments may have any whole numbers."""
    sample = mask.array[::3, ::3, ::3]
    distinct = np.unique(sample)
    if distinct.size > _MOST_MASK_VALUES or not np.array_equal(distinct, np.rint(distinct)):
        raise UnsuitableVolume(
            f"The mask '{mask.name}' is a greyscale image: it holds {distinct.size} different values.",
            "Choose a brain mask or a segmentation.",
        )


def check_reference(reference: Volume, volume: Volume, target_sequence: str) -> tuple[str, ...]:
    """Warnings about a real image to compare with; raises UnsuitableVolume if it is the input itself or a label map."""
    if reference.shape == volume.shape and np.array_equal(reference.array, volume.array):
        raise UnsuitableVolume(
            f"The reference '{reference.name}' is the input itself.", f"Choose a real {target_sequence} of this patient."
        )
    head = find_head(reference)
    if _kind(reference, head).level == "red":
        raise UnsuitableVolume(
            f"The reference '{reference.name}' holds only a few different whole numbers, as a label map does.",
            f"Choose a real {target_sequence} of this patient.",
        )
    _, p95, _ = _scaled_percentiles(head)
    if target_sequence == "T2" and p95 <= _BRIGHT_P95:
        return (f"The reference '{reference.name}' does not look like a T2: its fluid is not brighter than white matter.",)
    return ()


def _slices(volume: Volume, head: Head) -> Check:
    fewest = min(volume.shape)
    if fewest < _FEWEST_SLICES:
        return Check("slices", "red", f"It has {fewest} slices; at least {_FEWEST_SLICES} are needed.")
    return Check("slices", "green", "{} x {} x {} voxels.".format(*volume.shape))


def _voxel_size(volume: Volume, head: Head) -> Check:
    low, high = _VOXEL_RANGE_MM
    spacing = " x ".join(f"{size:.2f}" for size in volume.spacing_mm)
    if volume.spacing_mm.min() < low or volume.spacing_mm.max() > high:
        return Check("voxel size", "amber", f"Voxels of {spacing} mm; the model was made for {low} to {high} mm.")
    return Check("voxel size", "green", f"Voxels of {spacing} mm.")


def _coverage(volume: Volume, head: Head) -> Check:
    size = " x ".join(f"{length:.0f}" for length in head.size_mm)
    if head.size_mm.min() < _LEAST_HEAD_MM:
        return Check("coverage", "amber", f"The head covers only {size} mm; a part of the brain may be missing.")
    return Check("coverage", "green", f"The head covers {size} mm.")


def _tilt(volume: Volume, head: Head) -> Check:
    axes = np.abs(volume.affine[:3, :3] / volume.spacing_mm)
    tilt = float(np.degrees(np.arccos(np.clip(axes.max(axis=0).min(), 0, 1))))
    if tilt > _MOST_TILT_DEGREES:
        return Check("tilt", "amber", f"The grid is tilted by {tilt:.0f} degrees; training covered {_MOST_TILT_DEGREES:.0f}.")
    return Check("tilt", "green", f"The grid is tilted by {tilt:.0f} degrees.")


def _modality(volume: Volume, head: Head) -> Check:
    if head.air < _CT_AIR:
        return Check("modality", "red", f"Its background is {head.air:.0f}, as in a CT; an MR image is needed.")
    return Check("modality", "green", "Intensities look like MR.")


def _kind(volume: Volume, head: Head) -> Check:
    distinct = np.unique(head.inner)
    if distinct.size <= _LABEL_VALUES and np.array_equal(distinct, np.rint(distinct)):
        return Check("kind", "red", f"It holds only {distinct.size} different whole numbers, as a label map does.")
    return Check("kind", "green", "A greyscale image.")


def _contrast(volume: Volume, head: Head) -> Check:
    p25, p95, p99 = _scaled_percentiles(head)
    if p95 > _BRIGHT_P95 and p25 < _T2_P25:
        return Check("contrast", "red", "Fluid or lesions are brighter than white matter, as in a T2 or FLAIR; a T1 is needed.")
    if p95 > _BRIGHT_P95 or p99 > _ENHANCED_P99:
        return Check("contrast", "amber", "Parts are much brighter than white matter, as in a T1 with contrast agent.")
    return Check("contrast", "green", "Dark fluid and bright white matter, as in a T1.")


def _scaled_percentiles(head: Head) -> tuple[float, float, float]:
    """25th, 95th and 99th percentile of the inner head; air 0, white matter of a T1 1."""
    p25, p95, p99 = np.percentile((head.inner - head.air) / (head.level - head.air), [25, 95, 99])
    return float(p25), float(p95), float(p99)
