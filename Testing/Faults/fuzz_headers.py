"""Coverage-guided fuzzing (atheris, libFuzzer) of the code that reads headers; `make fuzz`.

Every branch that a mutated header newly reaches is kept and mutated further. A finding is any exception that is no
`UnsuitableVolume`, an input that takes longer than a second, or one that takes more memory than `-rss_limit_mb`.
"""

from __future__ import annotations

import contextlib
import gzip
import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "T1T2Translation"), str(ROOT / "Testing"), str(ROOT / "Testing" / "Engine")]

with atheris.instrument_imports(include=["T1T2TranslationLib"]):
    from T1T2TranslationLib import io, nifti, volume
    from T1T2TranslationLib.errors import UnsuitableVolume

from Faults.hostile import make_files  # noqa: E402 - the path is set above

_SUFFIXES = (".nii", ".nii.gz", ".hdr", ".nrrd", ".mha", ".nhdr", ".mhd")
# Of a good file this much is header enough; the rest would only dilute the mutations.
_SEED_BYTES = 1200


def read(data: bytes, folder: Path) -> None:
    """The first byte chooses the form, the rest is the file; refusing it is the right answer to nearly all."""
    suffix = _SUFFIXES[data[0] % len(_SUFFIXES)] if data else ".nii"
    path = folder / f"scan{suffix}"
    path.write_bytes(gzip.compress(data[1:], 1) if suffix.endswith(".gz") else data[1:])
    (folder / "scan.img").write_bytes(bytes(500))
    with contextlib.suppress(UnsuitableVolume):
        found = io.read_volume(path)
        assert isinstance(found, volume.Volume)
        assert found.array.size <= nifti.MOST_VOXELS


def write_corpus(folder: Path) -> None:
    """The beginnings of good files, each behind the byte that chooses its form."""
    with tempfile.TemporaryDirectory() as good:
        for path in make_files(Path(good)).values():
            suffix = "".join(path.suffixes)
            if path.is_file() and suffix in _SUFFIXES:
                content = gzip.decompress(path.read_bytes()) if suffix.endswith(".gz") else path.read_bytes()
                (folder / path.name).write_bytes(bytes([_SUFFIXES.index(suffix)]) + content[:_SEED_BYTES])


def main() -> None:
    """`fuzz_headers.py [libFuzzer's own options]`, such as -runs=20000 -seed=1."""
    with tempfile.TemporaryDirectory() as folder:
        corpus, work = Path(folder, "corpus"), Path(folder, "work")
        corpus.mkdir()
        work.mkdir()
        write_corpus(corpus)
        options = ["-timeout=5", "-rss_limit_mb=2048", f"-artifact_prefix={tempfile.gettempdir()}/t1t2-finding-"]
        atheris.Setup([sys.argv[0], str(corpus), *options, *sys.argv[1:]], lambda data: read(data, work))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
