"""The main job on a bundled sample: `make demo` translates the MNI152 T1 template and leaves volumes and a report."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from nilearn.datasets import load_mni152_template
from T1T2TranslationLib.cli import main as t1t2


def write_sample(folder: Path) -> Path:
    """The MNI152 T1 template, (197, 233, 189) voxels of 1 mm, as a NIfTI file in `folder`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = folder / "MNI152-T1.nii.gz"
    load_mni152_template(resolution=1).to_filename(sample)
    return sample


def main(folder: Path) -> int:
    """Write the sample, its synthetic T2, error map and report into `folder`, with the command that a user would type."""
    arguments = ["translate", str(write_sample(folder))]
    arguments += ["-o", str(folder / "MNI152-T2-SYNTHETIC.nii.gz")]
    arguments += ["--error-map", str(folder / "MNI152-T2-error.nii.gz")]
    arguments += ["--report", str(folder / "report.html")]
    sys.stdout.write(f"$ {shlex.join(['t1t2', *arguments])}\n")
    sys.stdout.flush()
    return t1t2(arguments)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
