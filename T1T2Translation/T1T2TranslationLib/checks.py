"""Is this a scan that the model can translate? Looked at before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .catalog import STRIPPED_BRAIN, TABLE_MAE, TUMOUR, WHOLE_HEAD_BRAIN, ModelCard
from .errors import UnsuitableVolume
from .head import Head, find_head
from .tissue import Tissue, look_at_tissue
from .translation import UNIT, Check, Level
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
# `Tissue.bright_where_rough` of the sequences (measured: T1, enhanced or not, -0.56 to -0.18; FLAIR -0.09 to 0.32; T2 0.35 to
# 0.54). Within the margin on either side of a boundary nobody can be sure: amber.
_T1_TO_FLAIR, _FLAIR_TO_T2 = -0.13, 0.335
_MARGIN = 0.035
_SEQUENCE_RANGE = {
    "T1": (-math.inf, _T1_TO_FLAIR),
    "FLAIR": (_T1_TO_FLAIR, _FLAIR_TO_T2),
    "T2": (_FLAIR_TO_T2, math.inf),
}
# What bright and dark tissue look like in each sequence.
_LOOKS = {
    "T1": "white matter is brighter than grey matter",
    "FLAIR": "white matter is darker than grey matter and fluid is dark",
    "T2": "white matter is darker than grey matter and fluid is bright",
}
# Fluid of a T2: bright against white matter while much else is dark. Decides only where grey and white cannot be told apart.
_BRIGHT_P95 = 1.3
_T2_P25 = 0.76
# Vessels and enhancing tissue: 99.9th percentile of the inner head (measured on stripped brains: T1 1.10 to 1.28, with contrast
# agent 1.45 to 2.7); of whole heads only the upper half (T1 1.08 to 1.12, with contrast agent never seen by us).
_ENHANCED, _ENHANCED_ABOVE = 1.36, 1.22
# Standard deviation / mean of grey and white matter in the T1 of the training scanners: 0.12 to 0.21, and a third beyond.
_SPREAD_RANGE = (0.08, 0.28)
# A whole head's faces are noise; those of a stripped brain are blank.
_STRIPPED_BLANK = 0.95
# What is said of a kind of input at which the model is weak.
_WEAK = {
    STRIPPED_BRAIN: "On skull-stripped brains",
    WHOLE_HEAD_BRAIN: "On whole heads",
    TUMOUR: "If there is a tumour, do not trust how it looks: in tumours",
}


def check_input(volume: Volume, head: Head, source_sequence: str = "T1") -> tuple[Check, ...]:
    """Every check of one input, in the order they are shown. source_sequence: what the model reads, "T1", "T2" or "FLAIR".

    Of what is no greyscale MR image, or of another sequence, nothing more is asked.
    """
    of_volume: list[Callable[[Volume, Head], Check]] = [_slices, _voxel_size, _coverage, _tilt, _modality, _kind, _skull]
    checks = [check(volume, head) for check in of_volume]
    if source_sequence not in _LOOKS or light_of(tuple(checks)) == "red":
        return tuple(checks)
    tissue = look_at_tissue(volume, head)
    checks.append(_sequence(tissue, source_sequence))
    if source_sequence == "T1" and checks[-1].level != "red":
        checks += [_enhancement(tissue, head), _range(tissue)]
    return tuple(checks)


def check_model(card: ModelCard, head: Head) -> tuple[Check, ...]:
    """Amber where the model's own scores say that a mere look-up table does no worse on such an input.

    In tumours is said of every input: nobody knows beforehand whether there is one.
    """
    own = WHOLE_HEAD_BRAIN if _is_whole(head) else STRIPPED_BRAIN
    return tuple(_weakness(card, kind) for kind in (own, TUMOUR) if kind in card.weak_at)


def _weakness(card: ModelCard, kind: str) -> Check:
    scores = card.scores[kind]
    errors = f"mean error {UNIT * scores['MAE']:.0f} of {UNIT}, the table's {UNIT * scores[TABLE_MAE]:.0f}"
    return Check("model", "amber", f"{_WEAK[kind]} this model was no better than a look-up table ({errors}).")


def light_of(checks: tuple[Check, ...]) -> Level:
    """The colour of all checks together: the worst of them."""
    return max((check.level for check in checks), key=("green", "amber", "red").index, default="green")


def refuse_if_red(checks: tuple[Check, ...], name: str, mask_name: str | None = None) -> None:
    """Raise UnsuitableVolume with every reason why the input is refused; `mask_name` where only a mask was looked at."""
    reasons = [check.message for check in checks if check.level == "red"]
    if reasons:
        where = "" if mask_name is None else f" by what the mask '{mask_name}' covers of it"
        another = "a suitable scan" if mask_name is None else "another mask, or a suitable scan"
        raise UnsuitableVolume(
            f"'{name}' was refused{where}: {' '.join(reasons)}",
            f"Choose {another}, or insist: --force in the shell, Advanced in the panel.",
        )


def refuse_unfit_mask(mask: Volume, what: str = "mask") -> None:
    """Raise UnsuitableVolume if a mask, or `what` else it is, is a greyscale image; segments may have any whole numbers."""
    sample = mask.array[::3, ::3, ::3]
    distinct = np.unique(sample)
    if distinct.size > _MOST_MASK_VALUES or not np.array_equal(distinct, np.rint(distinct)):
        raise UnsuitableVolume(
            f"The {what} '{mask.name}' is a greyscale image: it holds {distinct.size} different values.",
            f"Choose a segmentation or label map as {what}.",
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
    if target_sequence not in _LOOKS:
        return ()
    if _sequence(look_at_tissue(reference, head), target_sequence).level != "red":
        return ()
    return (f"The reference '{reference.name}' does not look like a {target_sequence}: there, {_LOOKS[target_sequence]}.",)


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


def _skull(volume: Volume, head: Head) -> Check:
    return Check("skull", "green", "A whole head." if _is_whole(head) else "Skull-stripped.")


def _is_whole(head: Head) -> bool:
    """Whether there is noise around it, or a dark layer (skull) between two brighter ones (scalp and brain)."""
    scalp, skull, brain = head.rim
    return head.blank < _STRIPPED_BLANK or skull < min(scalp, brain)


def _sequence(tissue: Tissue, wanted: str) -> Check:
    """Whether the inner head looks like `wanted`: green, amber near a boundary to another sequence, red beyond it."""
    value = tissue.bright_where_rough
    if math.isnan(value):
        return _sequence_by_fluid(tissue, wanted)
    found = "T1" if value < _T1_TO_FLAIR else "FLAIR" if value < _FLAIR_TO_T2 else "T2"
    is_close = min(abs(value - _T1_TO_FLAIR), abs(value - _FLAIR_TO_T2)) < _MARGIN
    low, high = _SEQUENCE_RANGE[wanted]
    if found == wanted and not is_close:
        return Check("sequence", "green", f"A {wanted}: {_LOOKS[wanted]}.")
    if low - _MARGIN < value < high + _MARGIN:
        return Check("sequence", "amber", f"Perhaps not a {wanted}: grey and white matter hardly differ as they do in one.")
    like = "FLAIR or PD" if found == "FLAIR" else found
    return Check("sequence", "red", f"It looks like a {like}: {_LOOKS[found]}. A {wanted} is needed.")


def _sequence_by_fluid(tissue: Tissue, wanted: str) -> Check:
    is_t2 = tissue.high > _BRIGHT_P95 and tissue.low < _T2_P25
    if is_t2 != (wanted == "T2"):
        fluid = "Fluid is brighter than white matter, as in a T2" if is_t2 else "Fluid is not bright, as it is in a T2"
        return Check("sequence", "red", f"{fluid}; a {wanted} is needed.")
    return Check("sequence", "amber", "Grey and white matter cannot be told apart, so its sequence is uncertain.")


def _enhancement(tissue: Tissue, head: Head) -> Check:
    highest, limit = (tissue.highest_above, _ENHANCED_ABOVE) if _is_whole(head) else (tissue.highest, _ENHANCED)
    if highest > limit:
        share = 100 * (highest - 1)
        return Check("contrast agent", "amber", f"Parts are {share:.0f} % brighter than white matter, as with contrast agent.")
    return Check("contrast agent", "green", "Nothing is much brighter than white matter: no contrast agent.")


def _range(tissue: Tissue) -> Check:
    low, high = _SPREAD_RANGE
    if not low <= tissue.spread <= high:
        found, range_ = f"{100 * tissue.spread:.0f} %", f"{100 * low:.0f} to {100 * high:.0f} %"
        return Check("scanner", "amber", f"Grey and white matter vary by {found}; on the scanners learnt from, by {range_}.")
    return Check("scanner", "green", "Grey and white matter differ as on the scanners that the model learnt from.")
