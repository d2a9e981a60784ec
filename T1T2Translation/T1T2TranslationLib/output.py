"""Files that appear complete or not at all: written under temporary names, then moved into place together."""

from __future__ import annotations

import contextlib
import errno
import functools
import gzip
import locale
import os
import platform
import shutil
import struct
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import UnsuitableOutput
from .resampling import to_sitk
from .translation import MARK
from .volume import Volume

VOLUME_EXTENSIONS = (".nii.gz", ".nii", ".nrrd", ".mha")

# Beyond level 3, gzip takes twice the time for 2 % of an MR volume.
_GZIP_LEVEL = 3
_SPARE_BYTES = 1 << 20
_MARK_WITHIN_BYTES = 4096
_LEFTOVER_AGE_S = 86_400
_NIFTI_DESCRIPTION_LENGTH = 79
# Offset in a NIfTI-1 header of srow_x, srow_y, srow_z: 3 x 4 float32, voxel index -> RAS mm.
_NIFTI_SFORM_OFFSET = 280


@contextmanager
def staged_files(forbidden: Iterable[str | Path] = ()) -> Iterator[Staging]:
    """Files to be: all appear when the `with` block ends well, none when it ends in an error.

    forbidden: files that must not be replaced, such as the inputs. Raises UnsuitableOutput.
    """
    staging = Staging(forbidden)
    try:
        yield staging
        staging.commit()
    finally:
        staging.discard()


class Staging:
    """Files under temporary names beside their final ones; see `staged_files`."""

    def __init__(self, forbidden: Iterable[str | Path] = ()):
        self._forbidden = tuple(forbidden)
        self._staged: list[tuple[Path, Path]] = []  # (temporary, final)

    def commit(self) -> None:
        """Move all files into place."""
        for temporary, final in self._staged:
            with _plain_errors(final):
                os.replace(temporary, final)

    def discard(self) -> None:
        """Remove what was not moved into place."""
        for temporary, _ in self._staged:
            temporary.unlink(missing_ok=True)

    def add_volume(self, volume: Volume, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
        """Stage a volume; the format follows the extension. Raises UnsuitableOutput.

        metadata: key-values for NRRD and MetaImage; "description" (default: the volume's name) is all that NIfTI keeps.
        """
        path = Path(path)
        extension = volume_extension(path)
        metadata = {"description": volume.name, **(metadata or {})}
        temporary = self._stage(path, extension, volume.array.nbytes)
        with _plain_errors(path):
            if extension.startswith(".nii"):
                _write_nifti(volume, metadata["description"], temporary)
            else:
                with decimal_points():
                    sitk.WriteImage(_image_of(volume, metadata), str(temporary), useCompression=True)
            _flush_to_disk(temporary)

    def add_text(self, text: str, path: str | Path) -> None:
        """Stage a UTF-8 text file. Raises UnsuitableOutput."""
        self.add_bytes(text.encode(), path)

    def add_bytes(self, content: bytes, path: str | Path) -> None:
        """Stage a file of these bytes. Raises UnsuitableOutput."""
        path = Path(path)
        temporary = self._stage(path, ".bin", len(content))
        with _plain_errors(path):
            temporary.write_bytes(content)
            _flush_to_disk(temporary)

    def _stage(self, path: Path, extension: str, size_bytes: int) -> Path:
        check_output(path, self._forbidden)
        with _plain_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < size_bytes + _SPARE_BYTES:
            raise UnsuitableOutput(
                f"The disk of '{path.parent}' is full: {free / 1e6:.0f} MB are free, "
                f"'{path.name}' needs up to {(size_bytes + _SPARE_BYTES) / 1e6:.0f} MB.",
                "Free some space, or write elsewhere.",
            )
        _remove_leftovers(path.parent)
        temporary = path.parent / f"{_temporary_prefix()}{os.getpid()}-{uuid.uuid4().hex}.part{extension}"
        self._staged.append((temporary, path))
        return temporary


def _temporary_prefix() -> str:
    """Of this machine's temporary files; a number follows, of the process that writes."""
    machine = "".join(letter for letter in platform.node() if letter.isalnum())[:32]
    return f".t1t2-{machine}-"


@functools.lru_cache(maxsize=1024)  # once a process: a folder may hold a hundred thousand results
def _remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed: on this machine, or anywhere more than a day ago."""
    for path in folder.glob(".t1t2-*.part*"):
        with contextlib.suppress(OSError):  # another process may be as quick
            is_old = time.time() - path.stat().st_mtime > _LEFTOVER_AGE_S
            writer = path.name.removeprefix(_temporary_prefix()).partition("-")[0]
            if is_old or (path.name.startswith(_temporary_prefix()) and writer.isdecimal() and _has_ended(int(writer))):
                path.unlink()


def _has_ended(process: int) -> bool:
    """Whether no process of this number runs; on Windows, where asking would end it, never."""
    if os.name != "posix":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's, alive
        return False
    return False


@contextmanager
def decimal_points() -> Iterator[None]:
    """Numbers in text headers have a decimal point, also where the user's language, which Qt sets, has a comma.

    ITK would read 0.9 as 0, without a word.
    """
    if locale.localeconv()["decimal_point"] == ".":
        yield
        return
    own = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, own)


def volume_extension(path: str | Path) -> str:
    """The extension of a volume that can be written, one of VOLUME_EXTENSIONS; raises UnsuitableOutput."""
    name = Path(path).name.lower()
    for extension in VOLUME_EXTENSIONS:
        if name.endswith(extension) and name != extension:
            return extension
    raise UnsuitableOutput(
        f"'{Path(path).name}' does not name a volume that can be written.",
        f"End its name in one of {', '.join(VOLUME_EXTENSIONS)}.",
    )


def check_output(path: str | Path, forbidden: Iterable[str | Path] = ()) -> None:
    """Raise UnsuitableOutput where a file cannot be written, before any work is done for it."""
    path = Path(path)
    with _plain_errors(path):  # such as a name too long for the disk
        if path.is_dir():
            raise UnsuitableOutput(f"'{path}' is a folder; a file's name is needed.", "Give the file to write.")
        folder = next(parent for parent in path.absolute().parents if parent.exists())
    if any(_is_same_file(path, other) for other in forbidden):
        raise UnsuitableOutput(f"'{path}' is an input; it would be overwritten.", "Give another name for the result.")
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UnsuitableOutput(f"Nothing can be written in '{folder}'.", "Choose a folder that you may write to.")


def check_replaceable(path: str | Path) -> None:
    """Raise UnsuitableOutput for an existing file that this program did not write: it may be somebody's only copy."""
    path = Path(path)
    if path.is_file() and not bears_mark(path):
        raise UnsuitableOutput(
            f"'{path}' exists and is no result of this program; it would be lost.", "Give another name, or remove it first."
        )


def bears_mark(path: Path) -> bool:
    """Whether a file (volume, sidecar or report) says near its beginning that it is synthetic."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return MARK.encode() in file.read(_MARK_WITHIN_BYTES)
    except (OSError, EOFError, zlib.error):
        return False


def _is_same_file(path: Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them does not exist yet
        return path.resolve() == Path(other).resolve()


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Whatever the system says against writing becomes UnsuitableOutput."""
    remedy = "Choose a folder that exists and can be written, with free space."
    try:
        yield
    except UnsuitableOutput:
        raise
    except OSError as error:
        raise UnsuitableOutput(f"'{path}' cannot be written ({error.strerror or error}).", remedy) from error
    except RuntimeError as error:  # SimpleITK's only kind of error
        raise UnsuitableOutput(f"'{path}' cannot be written completely.", remedy) from error


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _write_nifti(volume: Volume, description: str, path: Path) -> None:
    """Write with SimpleITK, then set the sform to the volume's own affine: SimpleITK would make it orthonormal."""
    plain = path.with_name(path.name.removesuffix(".gz")) if path.suffix != ".gz" else path.with_name(path.stem)
    ascii_description = description.encode("ascii", "replace").decode()[:_NIFTI_DESCRIPTION_LENGTH]
    try:
        sitk.WriteImage(_image_of(volume, {"ITK_FileNotes": ascii_description}), str(plain))
        if plain.stat().st_size < volume.array.nbytes:  # SimpleITK says nothing when a NIfTI ends early
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with plain.open("r+b") as file:
            file.seek(_NIFTI_SFORM_OFFSET)
            file.write(struct.pack("=12f", *volume.affine[:3].ravel()))
        if plain != path:
            # No name and no time inside: the same volume gives the same bytes.
            with (
                plain.open("rb") as source,
                path.open("wb") as target,
                gzip.GzipFile("", "wb", _GZIP_LEVEL, target, mtime=0) as packed,
            ):
                shutil.copyfileobj(source, packed, 1 << 20)
    finally:
        if plain != path:
            plain.unlink(missing_ok=True)


def _image_of(volume: Volume, metadata: Mapping[str, str]) -> sitk.Image:
    """The volume in a type that files know, with key-values."""
    image = to_sitk(volume.with_array(volume.array.astype(_file_type(volume.array.dtype), copy=False)))
    for key, value in metadata.items():
        image.SetMetaData(key, " ".join(str(value).split()))  # one line each
    return image


def _file_type(dtype: np.dtype) -> np.dtype:
    """The nearest type that every file format knows."""
    if np.issubdtype(dtype, np.floating) and dtype not in (np.float32, np.float64):
        return np.dtype(np.float32 if dtype.itemsize < 4 else np.float64)
    return dtype
