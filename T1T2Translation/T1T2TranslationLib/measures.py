"""What every measure and region of protocol T2P-1 is, its unit, and which way is better: for tables and tooltips."""

from __future__ import annotations

from typing import NamedTuple


class Measure(NamedTuple):
    """better: "lower", "higher" or the value that is right."""

    meaning: str
    unit: str
    better: str


_OF_P995 = "1 = p99.5"
MEASURES = {
    "MAE": Measure("mean absolute error", _OF_P995, "lower"),
    "MSE": Measure("mean squared error", "its square", "lower"),
    "PSNR": Measure("peak signal-to-noise ratio, range 1: -10 log10 MSE", "dB", "higher"),
    "SSIM": Measure(
        "structural similarity, 3D Gaussian of 1.5 voxels, range 1, mean of its map over the region", "", "higher, 1"
    ),
    "HFEN": Measure("error of edges: Laplacian of Gaussian (1.5 voxels) of the difference / of the real image", "", "lower"),
    "sharpness": Measure("mean gradient, synthetic / real; below 1 is blurred", "", "1"),
    "NMI": Measure("normalised mutual information; 1 unrelated, 2 equal", "", "higher"),
    "contrast": Measure("lesion minus rest of the brain, synthetic / real; 0 invisible, negative turned over", "", "1"),
    "gain": Measure("least-squares factor from synthetic to real over the brain; T1 does not tell the echo time", "", "1"),
    "offset": Measure("what is to be added after that factor", _OF_P995, "0"),
    "fitted MAE": Measure("MAE of the brain after gain and offset: what is left is anatomy", _OF_P995, "lower"),
    "total MAE": Measure("sum of the slices' MAE over a volume", "", "lower"),
    "total MSE": Measure("sum of the slices' MSE over a volume", "", "lower"),
    "slices": Measure("number of slices in the study's frame", "", ""),
    "ratio": Measure("mean predicted error / mean real error", "", "1"),
    "AUROC": Measure("how well the predicted error finds real errors above 0.2; 0.5 is chance", "", "higher, 1"),
    "AUSE": Measure("area between sparsification by predicted and by real error, share of the mean error", "", "lower, 0"),
    "coverage": Measure("share of voxels whose real error is within the interval", "", "0.9"),
    "width": Measure("mean of the whole interval", _OF_P995, "lower"),
}
REGIONS = {
    "brain": "A given mask, or a skull-stripped T1's foreground, closed and filled.",
    "inner head": "A whole head without a mask: without 13 mm of scalp and skull, 130 mm down from its top.",
    "tumour": "Where a segmentation exists.",
    "ring": "Brain within 10 mm of the tumour, outside it.",
    "CSF": "The brightest real T2 that is also dark in T1, outside the tumour.",
    "brain, fitted": "The brain after one least-squares gain and offset per subject.",
    "whole grid": "With the air around the head, which flatters everybody; for comparison with older papers only.",
}
