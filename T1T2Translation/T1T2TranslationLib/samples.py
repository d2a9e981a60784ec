"""Data to try the program with: scans to download, and a head made of ellipsoids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .translation import UNIT, Check, Comparison, Translation
from .volume import Volume

# Sample -> the nodes it loads and the SHA-256 of their files in Slicer's public testing data.
# The persons in them gave them to 3D Slicer for use without restriction.
DOWNLOADS = {
    "T1Head": {"MRHead": "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93"},
    "T1T2Pair": {
        "MRBrainT1": "2da3f655ed20356ee8cdf32aa0f8f9420385de4b6e407d28e67f9974d7ce1593",
        "MRBrainT2": "fa1fe5910a69182f2b03c0150d8151ac6c75df986449fb5a6c5ae67141e0f5e7",
    },
}

# The phantom's head is nodded by this.
_TILT_DEGREES = 12.0
# Outer radius of each shell as a share of the head's, and its intensity in a T1 and a T2: white and grey matter,
# cerebrospinal fluid, skull, scalp.
_SHELLS = ((0.55, 1000, 450), (0.74, 700, 620), (0.80, 250, 1000), (0.90, 60, 40), (1.00, 800, 350))
_HEAD_RADII_MM = (72.0, 90.0, 85.0)


def sources(data_url: str) -> Iterator[dict[str, Any]]:
    """The downloads as keyword arguments of SampleData's `registerCustomSampleDataSource`."""
    for name, files in DOWNLOADS.items():
        yield {
            "sampleName": name,
            "uris": [f"{data_url}SHA256/{digest}" for digest in files.values()],
            "checksums": [f"SHA256:{digest}" for digest in files.values()],
            "fileNames": [f"{node}.nrrd" for node in files],
            "nodeNames": list(files),
        }


def phantom(sequence: str = "T1", spacing_mm: tuple[float, float, float] = (3.0, 3.0, 3.0)) -> Volume:
    """A whole head of ellipsoid shells with a little noise, (i, j, k) int16 along right, anterior, superior, on a tilted grid.

    sequence: "T1" or "T2", on the same grid; always the same voxels.
    """
    radii = np.array(_HEAD_RADII_MM)
    shape = np.ceil(2.2 * radii / spacing_mm).astype(int)
    centre = (shape - 1) / 2
    positions = np.moveaxis(np.indices(tuple(shape)), 0, -1)
    radius = np.linalg.norm((positions - centre) * spacing_mm / radii, axis=-1)
    array = np.zeros(radius.shape)
    for outer, t1, t2 in reversed(_SHELLS):
        array[radius < outer] = t1 if sequence == "T1" else t2
    array += np.random.default_rng(1).normal(0, 12, array.shape)
    cosine, sine = np.cos(np.radians(_TILT_DEGREES)), np.sin(np.radians(_TILT_DEGREES))
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, :3] = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) * spacing_mm
    affine[:3, 3] = -affine[:3, :3] @ centre
    return Volume(np.clip(array, 0, None).astype(np.int16), affine, f"Phantom {sequence}")


def phantom_translation(volume: Volume, with_reference: bool = False) -> Translation:
    """What a translation of `volume` could look like, without a network: for trying what shows it."""
    values = volume.array.astype(np.int16) % UNIT
    synthetic = volume.with_array(values, f"{volume.name} SYNTHETIC T2")
    error = volume.with_array(values // 4, f"{synthetic.name} predicted error")
    comparison = Comparison(
        reference=volume.with_array(values // 2, "Real T2"),
        signed_error=volume.with_array(values // 2 - UNIT // 4, f"{synthetic.name} error"),
        absolute_error=volume.with_array(np.abs(values // 2 - UNIT // 4), f"{synthetic.name} absolute error"),
        metrics={"brain": {"MAE": 0.05, "SSIM": 0.9}, "csf": {"MAE": 0.1}},
        registered=False,
    )
    return Translation(
        synthetic=synthetic,
        predicted_error=error,
        checks=(Check("slices", "green", "Enough slices."), Check("contrast", "amber", "Brighter than <usual>.")),
        warnings=("Went on with the CPU.",),
        provenance={
            "model": "phantom",
            "model_version": "0",
            "weights_sha256": "0" * 64,
            "source_sequence": "T1",
            "target_sequence": "T2",
            "device": "cpu",
            "precision": "float32",
            "seconds": 0.0,
            "software": "T1T2Translation",
            "torch": "none",
            "date": "2026-01-01T00:00:00+00:00",
        },
        comparison=comparison if with_reference else None,
    )
