"""NIfTI-1 files to `Volume`, strictly: ITK takes voxels from a neighbour of the same name, and hangs on an infinite position."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import UnsuitableVolume
from .volume import Volume

EXTENSIONS = (".nii.gz", ".nii", ".hdr", ".img")
# No scan of a head has more voxels; a header that claims more is not believed.
MOST_VOXELS = 1_500_000_000

_HEADER_BYTES = 348
_CHUNK_BYTES = 1 << 16  # inflates to at most 66 MB at once
# Deflate packs at most 1032 bytes into one: a file cannot hold more than this times its size.
BEST_COMPRESSION = 1032
# What may follow the voxels before a packed file counts as a bomb.
MOST_TRAILING_BYTES = 1 << 24
_MAGIC = {b"n+1\0": "voxels follow the header", b"ni1\0": "voxels lie in the .img file"}
_INTENT_LABEL = 1002
# Codes of nifti1.h; bool and 128-bit floats are nobody's scan.
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COMPLEX, _COLOURS = (32, 1792, 2048), (128, 2304)
_MILLIMETRES = (0, 2)  # of xyzt_units; unknown units are millimetres in practice
# Largest part by which the matrix and pixdim may disagree on a voxel's size.
_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Header:
    """What a NIfTI-1 header says, checked.

    size: voxels along (i, j, k). dtype: of a stored voxel, with its byte order. offset: of the first voxel in its file.
    affine: (4, 4), voxel index -> RAS mm, by the matrix (sform) or the quaternion (qform), whichever ITK and Slicer take.
    """

    size: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    affine: np.ndarray
    is_label_map: bool

    @property
    def voxel_bytes(self) -> int:
        """Bytes of all voxels together."""
        return math.prod(self.size) * self.dtype.itemsize


def read_nifti(path: Path, name: str, allow_labels: bool) -> Volume:
    """The scalar 3D image in `.nii`, `.nii.gz`, `.hdr` or `.img`; raises UnsuitableVolume or OSError."""
    is_pair = path.suffix.lower() in (".hdr", ".img")
    header = read_header(path.with_suffix(".hdr") if path.suffix == ".img" else path, name, is_pair)
    if header.is_label_map and not allow_labels:
        raise UnsuitableVolume(f"'{name}' is a segmentation (its header says so).", "Give the scan itself.")
    voxels = _image_file(path) if is_pair else path
    stored = _read_voxels(voxels, header, name)
    if (header.slope, header.intercept) in ((1.0, 0.0), (0.0, 0.0)):
        array = stored.astype(header.dtype.newbyteorder("="), copy=False)
    else:
        array = stored.astype(np.float64 if header.dtype.itemsize == 8 else np.float32)
        array *= header.slope
        array += header.intercept
    return Volume(array, header.affine, name)


def read_header(path: Path, name: str, is_pair: bool = False) -> Header:
    """The header of a file; raises UnsuitableVolume where it contradicts itself or the format."""
    raw = _first_bytes(path, name)
    order = next((order for order in "<>" if struct.unpack(f"{order}i", raw[:4])[0] == _HEADER_BYTES), None)
    if order is None:
        raise _damaged(name, "its header does not begin as NIfTI-1 does")
    magic = raw[344:348]
    if magic not in _MAGIC:
        raise UnsuitableVolume(
            f"'{name}' is in the Analyze format, or damaged: it does not say where left and right are.",
            "Convert it to NIfTI from its original files.",
        )
    if is_pair != (magic == b"ni1\0"):
        raise _damaged(name, f"its header says that the {_MAGIC[magic]}")
    code, bits = struct.unpack_from(f"{order}2h", raw, 70)
    dtype = _dtype(code, bits, name).newbyteorder("<" if order == "<" else ">")
    offset, slope, intercept = struct.unpack_from(f"{order}3f", raw, 108)
    if not (math.isfinite(offset) and 0 <= offset < 2**31 and offset == int(offset)):
        raise _damaged(name, f"its voxels are said to begin at byte {offset:g}")
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        slope, intercept = 1.0, 0.0  # as the standard has it, values are then not scaled
    return Header(
        size=_size(struct.unpack_from(f"{order}8h", raw, 40), name),
        dtype=dtype,
        offset=int(offset) if is_pair else max(int(offset), _HEADER_BYTES + 4),
        slope=slope,
        intercept=intercept if slope else 0.0,
        affine=_affine(raw, order, name),
        is_label_map=struct.unpack_from(f"{order}h", raw, 68)[0] == _INTENT_LABEL,
    )


def _first_bytes(path: Path, name: str) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            raw = file.read(_HEADER_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(name, "its compressed data do not add up") from error
    if len(raw) < _HEADER_BYTES:
        raise _damaged(name, f"it ends within its header, after {len(raw)} bytes")
    return raw


def _damaged(name: str, found: str) -> UnsuitableVolume:
    return UnsuitableVolume(f"'{name}' is damaged ({found}).", "Copy it again, or convert it once more.")


def _size(dim: tuple[int, ...], name: str) -> tuple[int, int, int]:
    """(i, j, k) of dim[0..7]; axes beyond the third may have one entry each."""
    count = dim[0]
    if not 1 <= count <= 7 or min(dim[1 : count + 1]) < 1:
        raise _damaged(name, f"its dimensions are said to be {', '.join(map(str, dim[: max(2, min(count, 7) + 1)]))}")
    sizes = dim[1 : count + 1]
    shape = " x ".join(map(str, sizes))
    if count > 4 and max(sizes[4:]) > 1:
        raise UnsuitableVolume(
            f"'{name}' holds colours or vectors ({shape}); one real number per voxel is needed.", "Extract one component first."
        )
    if count < 3 or (count > 3 and max(sizes[3:]) > 1):
        raise UnsuitableVolume(
            f"'{name}' has {count} dimensions ({shape}); one 3D image is needed.",
            "Extract one time point first." if count > 3 else "Give the whole stack of slices.",
        )
    if math.prod(sizes) > MOST_VOXELS:
        raise UnsuitableVolume(f"'{name}' has {shape} voxels, more than {MOST_VOXELS:,} together.", "Give the scan of one head.")
    return sizes[0], sizes[1], sizes[2]


def _dtype(code: int, bits: int, name: str) -> np.dtype:
    if code in _COMPLEX or code in _COLOURS:
        found = "complex numbers" if code in _COMPLEX else "colours or vectors"
        raise UnsuitableVolume(f"'{name}' holds {found}; one real number per voxel is needed.", "Extract one component first.")
    if code not in _TYPES:
        raise _damaged(name, f"its voxels are said to be of the type {code}")
    dtype = np.dtype(_TYPES[code])
    if bits != 8 * dtype.itemsize:
        raise _damaged(name, f"its voxels of type {code} are said to have {bits} bits")
    return dtype


# ---- where it lies


def _affine(raw: bytes, order: str, name: str) -> np.ndarray:
    """(4, 4) index -> RAS mm of the quaternion (qform) or the matrix (sform), whichever ITK and Slicer take."""
    qform_code, sform_code = struct.unpack_from(f"{order}2h", raw, 252)
    if not (0 <= qform_code <= 5 and 0 <= sform_code <= 5):
        raise _damaged(name, f"its position has the codes {qform_code} and {sform_code}")
    if not qform_code and not sform_code:
        raise UnsuitableVolume(
            f"'{name}' does not say where left and right are: its header gives no position in space.",
            "Convert it again from its original files.",
        )
    if raw[123] & 7 not in _MILLIMETRES:
        raise _damaged(name, "its voxels are not measured in millimetres")
    matrix, quaternion = _sform(raw, order), _qform(raw, order)
    # ITK's choice where the two differ; where they agree, the matrix is the more exact.
    takes_matrix = sform_code == 1 or not qform_code or (sform_code and _is_near(matrix, quaternion))
    affine = matrix if takes_matrix else quaternion
    if not np.isfinite(affine).all():
        raise _damaged(name, "its position in space is not finite")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    pixdim = struct.unpack_from(f"{order}3f", raw, 80)
    if not np.allclose(spacing, pixdim, rtol=_SIZE_TOLERANCE):
        sizes = [" x ".join(f"{size:.3g}" for size in triple) for triple in (spacing, pixdim)]
        raise _damaged(name, f"its header gives two voxel sizes, {sizes[0]} and {sizes[1]} mm")
    return affine


def _is_near(matrix: np.ndarray, quaternion: np.ndarray) -> bool:
    """Whether both say the same up to rounding: then the matrix is the more exact."""
    return bool(np.isfinite(quaternion).all() and np.allclose(matrix, quaternion, rtol=1e-3, atol=1e-2))


def _sform(raw: bytes, order: str) -> np.ndarray:
    rows = np.array(struct.unpack_from(f"{order}12f", raw, 280), dtype=np.float64)
    return np.vstack([rows.reshape(3, 4), [0, 0, 0, 1]])


def _qform(raw: bytes, order: str) -> np.ndarray:
    """The rotation of nifti1.h's METHOD 2; a = sqrt(1 - b^2 - c^2 - d^2), pixdim[0] < 0 mirrors the third axis."""
    pixdim = np.array(struct.unpack_from(f"{order}4f", raw, 76), dtype=np.float64)
    b, c, d, *origin = struct.unpack_from(f"{order}6f", raw, 256)
    affine = np.full((4, 4), np.nan)
    rest = 1.0 - (b * b + c * c + d * d)
    if not (np.isfinite(pixdim).all() and (pixdim[1:] > 0).all() and rest > -1e-4):
        return affine
    a = math.sqrt(max(0.0, rest))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine[:3, :3] = rotation * pixdim[1:] * [1, 1, -1 if pixdim[0] < 0 else 1]
    affine[:3, 3], affine[3] = origin, [0, 0, 0, 1]
    return affine


# ---- voxels


def _image_file(path: Path) -> Path:
    """The .img of a pair, in whatever case, packed or not."""
    for suffix in (".img", ".IMG", ".img.gz"):
        candidate = path.with_name(path.name[: -len(path.suffix)] + suffix)
        if candidate.is_file():
            return candidate
    raise UnsuitableVolume(f"'{path.name}' lacks its voxels: there is no .img file of its name beside it.", "Copy both files.")


def _read_voxels(path: Path, header: Header, name: str) -> np.ndarray:
    """(i, j, k) as stored; memory is only taken for what the file can hold."""
    is_packed = path.suffix.lower() == ".gz"
    end = header.offset + header.voxel_bytes
    can_hold = path.stat().st_size * (BEST_COMPRESSION if is_packed else 1)
    if can_hold < end:
        raise _incomplete(name, max(0, path.stat().st_size - header.offset) if not is_packed else None, header)
    buffer = bytearray(header.voxel_bytes)
    if is_packed:
        found = 0
        for chunk in inflated(path, 0, name):
            _put(buffer, found - header.offset, chunk)
            found += len(chunk)
            if found > end + MOST_TRAILING_BYTES:
                raise _damaged(name, "it inflates to far more than its header promises")
        if found < end:
            raise _incomplete(name, max(0, found - header.offset), header)
    else:
        with path.open("rb") as file:
            file.seek(header.offset)
            file.readinto(buffer)
    return np.frombuffer(buffer, header.dtype).reshape(header.size, order="F")


def _put(buffer: bytearray, place: int, chunk: bytes) -> None:
    """Lay the part of `chunk` that falls into `buffer` where it belongs; `place` may be negative or beyond."""
    start, stop = max(0, place), min(len(buffer), place + len(chunk))
    if start < stop:
        buffer[start:stop] = memoryview(chunk)[start - place : stop - place]


def _incomplete(name: str, found: int | None, header: Header) -> UnsuitableVolume:
    holds = "too little for any compression" if found is None else f"{found:,} bytes of voxels"
    return UnsuitableVolume(
        f"'{name}' is incomplete: it holds {holds} where its header promises {header.voxel_bytes:,}.", "Copy it again."
    )


def inflated(path: Path, start: int, name: str) -> Iterator[bytes]:
    """The bytes of a file from `start` on, decompressed (gzip members or a zlib stream), checksums verified."""
    with path.open("rb") as file:
        file.seek(start)
        inflater = zlib.decompressobj(wbits=47)  # 47: gzip or zlib, whichever it is
        chunk = file.read(_CHUNK_BYTES)
        try:
            while chunk:
                if inflater.eof and not chunk.startswith(b"\x1f\x8b"):
                    return  # padding
                if inflater.eof:
                    inflater = zlib.decompressobj(wbits=47)
                yield inflater.decompress(chunk)
                chunk = inflater.unused_data or file.read(_CHUNK_BYTES)
        except zlib.error as error:
            raise _damaged(name, "its compressed data do not add up") from error
    if not inflater.eof:
        raise UnsuitableVolume(f"'{name}' is incomplete: its compressed data stop early.", "Copy it again.")
