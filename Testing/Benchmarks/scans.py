"""Scans to measure with: the MNI152 template on grids of any size, with noise so that it packs as badly as a real scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from nilearn.datasets import load_mni152_template

# (i, j, k) and voxel size in mm: a quick clinical scan, the grid of BraTS, a high-resolution one.
SIZES = {
    "128x128x60": ((128, 128, 60), (1.8, 1.8, 2.6)),
    "240x240x155": ((240, 240, 155), (1.0, 1.0, 1.0)),
    "512x512x300": ((512, 512, 300), (0.45, 0.45, 0.55)),
}


def write_scan(size: str, path: Path) -> Path:
    """Write the brain on the grid of this name, int16."""
    shape, spacing = SIZES[size]
    template = load_mni152_template(resolution=1)
    source = sitk.GetImageFromArray(np.asarray(template.dataobj, dtype=np.float32).transpose(2, 1, 0))
    middle = [(count - 1) / 2 for count in source.GetSize()]
    grid = sitk.Image(shape, sitk.sitkFloat32)
    grid.SetSpacing(spacing)
    grid.SetOrigin([centre - (count - 1) / 2 * step for centre, count, step in zip(middle, shape, spacing, strict=True)])
    brain = sitk.GetArrayFromImage(sitk.Resample(source, grid, sitk.Transform(), sitk.sitkLinear))
    brain *= 1000 / brain.max()
    noise = np.random.default_rng(0).normal(0, 15, brain.shape)
    noisy = np.where(brain > 20, brain + noise, 0).clip(0).astype(np.int16)
    image = sitk.GetImageFromArray(noisy)
    image.CopyInformation(grid)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path
