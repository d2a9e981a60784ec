"""A real image of the same patient: brought onto the input's grid, and how far the synthetic one is from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk

from .errors import Cancelled, UnsuitableVolume
from .likeness import LEAST_LIKENESS, likeness
from .metrics import compute_metrics, percentile_of_brain, to_unit
from .regions import T1_TO_T2, brain_region, is_skull_stripped, regions
from .resampling import resample_mask, resample_onto, to_sitk
from .translation import UNIT, Comparison, Progress, ignore_progress
from .volume import Volume

# Coarse to fine: voxels of about this many mm, smoothed by half of it, compared at about this many points.
_STEPS_MM = (6.0, 3.0, 1.5)
_POINTS = 100_000
_ITERATIONS = 200
_HISTOGRAM_BINS = 32
_SEED = 20200511
# Mattes mutual information (nats): two sequences of one head share 0.3 and more, an image and noise below 0.05.
_LEAST_INFORMATION = 0.1
# Less of the brain than this inside the reference's field of view is no comparison.
_LEAST_OVERLAP = 0.5
_REGISTRATION_SHARE = 0.8  # of the progress
_LARGEST_INT16 = np.iinfo(np.int16).max
_DIFFERENT = "'{name}' seems to show another head than the scan, or not in the same place: look at both before you trust it."


def compare(
    synthetic: Volume,
    reference: Volume,
    input_volume: Volume,
    mask: Volume | None = None,
    progress: Progress = ignore_progress,
    region: Volume | None = None,
    sequences: tuple[str, str] = T1_TO_T2,
    doubts: tuple[str, ...] = (),
) -> Comparison:
    """Score a synthetic image against a real one of the same contrast and patient, protocol T2P-1.

    synthetic: on the grid of `input_volume`, in `UNIT`. reference: any grid and unit; where its grid is not the
    input's it is registered rigidly to the input (Mattes mutual information) and resampled.
    mask: the brain, on any grid; without it a whole head is scored over its "inner head".
    region: where alone the synthetic image was made, on any grid. The unit is still that of the whole brain.
    sequences: of the input and of the reference.

    The error maps are 0 outside the region, the reference's field of view and a known brain.
    doubts: about the reference, from `check_reference`.
    Raises UnsuitableVolume for a reference that cannot be brought to overlap, or is empty there; Cancelled.
    """
    progress(0.0, "Looking at the reference")
    real, seen = align(reference, input_volume, progress)
    progress(_REGISTRATION_SHARE, "Measuring the error")
    brain_name, brain = _brain(input_volume, real, mask)
    _refuse_small_overlap(brain, seen, reference.name)
    brain &= seen
    wanted = None if region is None else resample_mask(region, input_volume)
    shown = (brain if brain_name == "brain" else seen) & (True if wanted is None else wanted)
    in_unit = _in_unit(real, brain, reference.name)
    difference = np.where(shown, synthetic.array.astype(np.float32) - in_unit, 0)
    truth = to_unit(real.array, brain)
    masks = regions(brain, truth, input_volume.array, input_volume.spacing_mm, brain_name=brain_name, sequences=sequences)
    metrics = _measure(synthetic, truth, masks, wanted)
    alike = likeness(input_volume.array, real.array, brain, input_volume.spacing_mm)
    progress(1.0, "Measured the error")
    return Comparison(
        reference=input_volume.with_array(in_unit, reference.name),
        signed_error=input_volume.with_array(_int16(difference), f"{synthetic.name} error"),
        absolute_error=input_volume.with_array(_int16(np.abs(difference)), f"{synthetic.name} absolute error"),
        metrics=metrics,
        registered=not reference.has_grid_of(input_volume),
        warnings=doubts if alike >= LEAST_LIKENESS else (*doubts, _DIFFERENT.format(name=reference.name)),
    )


def _in_unit(real: Volume, brain: np.ndarray, name: str) -> np.ndarray:
    """The real image as a synthetic one is kept: int16, `UNIT` = its 99.5th percentile over the brain."""
    try:
        unit = percentile_of_brain(real.array, brain)
    except ValueError as error:
        raise UnsuitableVolume(f"The reference '{name}' shows no brain: {error}.", "Choose a scan of this patient.") from error
    return _int16(np.maximum(real.array, 0) * (UNIT / unit))


def _measure(
    synthetic: Volume, truth: np.ndarray, masks: dict[str, np.ndarray], wanted: np.ndarray | None
) -> dict[str, dict[str, float]]:
    """The scores over the masks (i, j, k), or over what of them is wanted."""
    if wanted is not None:
        masks = _within(masks, wanted)
        truth = np.where(wanted, truth, np.float32(0))  # as the synthetic image: the region's rim is no error
    return compute_metrics(synthetic.array / np.float32(UNIT), truth, masks, synthetic.spacing_mm) if masks else {}


def align(reference: Volume, grid: Volume, progress: Progress = ignore_progress) -> tuple[Volume, np.ndarray]:
    """`reference` on the grid of `grid`, and where on it (i, j, k, bool) the reference has voxels.

    Untouched where the grids are the same; else registered rigidly and resampled linearly, float32.
    """
    if reference.has_grid_of(grid):
        return reference, np.ones(grid.shape, dtype=bool)
    transform = register(reference, grid, progress)
    return resample_onto(_as_float(reference), grid, transform), _field_of_view(reference, grid, transform)


def register(moving: Volume, fixed: Volume, progress: Progress = ignore_progress) -> sitk.Transform:
    """The rigid transform that takes points (LPS mm) of `fixed` to points of `moving`; the same for the same images.

    Starts from the scanner's coordinates, and from the centres of mass where these share more information.
    Raises UnsuitableVolume where the images share too little mutual information in the end.
    """
    if moving.array.min() == moving.array.max():
        raise UnsuitableVolume(
            f"The reference '{moving.name}' is empty: all its voxels have the same value.", "Choose a scan of this patient."
        )
    with _one_thread():
        transform, information = _registered(to_sitk(_as_float(fixed)), to_sitk(_as_float(moving)), progress)
    if information < _LEAST_INFORMATION:
        raise UnsuitableVolume(
            f"The reference '{moving.name}' could not be aligned with '{fixed.name}': they share {information:.3f} nats of "
            f"information, {_LEAST_INFORMATION} are needed.",
            "Choose a scan of the same patient, or align the two first.",
        )
    return transform


@contextmanager
def _one_thread() -> Iterator[None]:
    """ITK sums in one order: with several threads the same images would give transforms that differ in the last digits."""
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def _registered(fixed: sitk.Image, moving: sitk.Image, progress: Progress) -> tuple[sitk.Euler3DTransform, float]:
    """The transform, coarse to fine, and the information that the images share under it."""
    transform = _best_start(_coarse(fixed, _STEPS_MM[0]), _coarse(moving, _STEPS_MM[0]))
    share = _REGISTRATION_SHARE / len(_STEPS_MM)
    information = 0.0
    for level, step_mm in enumerate(_STEPS_MM):
        images = _coarse(fixed, step_mm), _coarse(moving, step_mm)
        information = _refine(transform, *images, _teller(progress, level * share, share))
    return transform, information


def _teller(progress: Progress, start: float, share: float) -> Callable[[float], None]:
    return lambda part: progress(start + part * share, "Aligning the reference")


def _coarse(image: sitk.Image, step_mm: float) -> sitk.Image:
    factors = [max(1, int(step_mm / spacing)) for spacing in image.GetSpacing()]
    smooth = sitk.DiscreteGaussian(image, variance=[(step_mm / 2) ** 2] * 3)
    return sitk.Shrink(smooth, factors)


def _method(fixed: sitk.Image) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_HISTOGRAM_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(min(1.0, _POINTS / fixed.GetNumberOfPixels()), _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _best_start(fixed: sitk.Image, moving: sitk.Image) -> sitk.Euler3DTransform:
    """The scanner's coordinates, or the centres of mass on each other: what shares more information."""
    scanner = sitk.Euler3DTransform()
    scanner.SetCenter(fixed.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in fixed.GetSize()]))
    moments = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    return max((scanner, sitk.Euler3DTransform(moments)), key=lambda start: _information(start, fixed, moving))


def _information(transform: sitk.Transform, fixed: sitk.Image, moving: sitk.Image) -> float:
    method = _method(fixed)
    method.SetInitialTransform(transform)
    try:
        return -method.MetricEvaluate(fixed, moving)
    except RuntimeError:  # ITK's word for images that do not overlap
        return 0.0


def _refine(transform: sitk.Transform, fixed: sitk.Image, moving: sitk.Image, tell: Callable[[float], None]) -> float:
    """Moves `transform` to the nearest maximum of mutual information and returns it; a cancellation passes through."""
    method = _method(fixed)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.001, numberOfIterations=_ITERATIONS, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    stopped: list[Cancelled] = []

    def on_iteration() -> None:
        try:
            tell(method.GetOptimizerIteration() / _ITERATIONS)
        except Cancelled as cancelled:  # an exception cannot cross ITK's own frames
            stopped.append(cancelled)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, on_iteration)
    try:
        method.Execute(fixed, moving)
    except RuntimeError:  # the images slid apart
        return 0.0
    finally:
        if stopped:
            raise stopped[0]
    return -method.GetMetricValue()


def _field_of_view(moving: Volume, fixed: Volume, transform: sitk.Transform) -> np.ndarray:
    """Where voxels of `fixed` lie inside the grid of `moving`, (i, j, k) bool."""
    inside = moving.with_array(np.ones(moving.shape, dtype=np.uint8))
    return resample_onto(inside, fixed, transform, sitk.sitkNearestNeighbor).array > 0


def _brain(input_volume: Volume, reference: Volume, mask: Volume | None) -> tuple[str, np.ndarray]:
    """The brain from the mask, else from whichever of the two images is skull-stripped, else the inner head."""
    if mask is not None:
        return "brain", resample_mask(mask, input_volume)
    if not is_skull_stripped(input_volume) and is_skull_stripped(reference):
        return brain_region(reference)
    return brain_region(input_volume)


def _refuse_small_overlap(brain: np.ndarray, seen: np.ndarray, name: str) -> None:
    overlap = float(seen[brain].mean()) if brain.any() else 0.0
    if overlap < _LEAST_OVERLAP:
        raise UnsuitableVolume(
            f"The reference '{name}' covers {overlap:.0%} of the brain; at least {_LEAST_OVERLAP:.0%} are needed.",
            "Choose a scan of the same patient with the whole brain in view.",
        )


def _within(masks: dict[str, np.ndarray], wanted: np.ndarray) -> dict[str, np.ndarray]:
    """What of the regions lies in the region of interest, named so; empty where that holds no brain."""
    parts = {f"{name} in the region": mask & wanted for name, mask in masks.items()}
    return {name: mask for name, mask in parts.items() if mask.any()}


def _as_float(volume: Volume) -> Volume:
    return volume.with_array(volume.array.astype(np.float32))


def _int16(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, -_LARGEST_INT16, _LARGEST_INT16)).astype(np.int16)
