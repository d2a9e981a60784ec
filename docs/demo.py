"""The main job on a bundled sample: `make demo` translates the MNI152 T1 template and leaves volumes and a report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from nilearn.datasets import load_mni152_template


def main(folder: Path) -> int:
    """Write the sample, its synthetic T2, error map and report into `folder`, with the command a user would type."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = folder / "MNI152-T1.nii.gz"
    load_mni152_template(resolution=1).to_filename(sample)
    command = [Path(sys.executable).with_name("t1t2"), "translate", sample]
    command += ["-o", folder / "MNI152-T2-SYNTHETIC.nii.gz"]
    command += ["--error-map", folder / "MNI152-T2-error.nii.gz"]
    command += ["--report", folder / "report.html"]
    return subprocess.run([str(part) for part in command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
