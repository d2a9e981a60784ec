"""Hostile files, any number of them, the same for the same number: flipped bits, truncations, lying headers, bombs."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from givens import a_dicom_series, an_array, oblique

Random = np.random.Generator

# What a header may claim: nothing, less than nothing, one too many, more than any memory holds.
_SIZES = (0, -1, -32768, 1, 2, 18, 1100, 30000, 32767)
_NUMBERS = (0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-30, 1e30, 3e38)
_TEXTS = ("0", "-1", "1100", "99999", "4000000000", "99999999999999999999", "nan", "inf", "-inf", "1e300", "", "x", "%s%n", "\0")
# (offset, format, values) of the fields of a NIfTI-1 header that matter to a reader.
_NIFTI_FIELDS = (
    *((offset, "<h", _SIZES) for offset in (40, 42, 44, 46, 48)),  # dim[0] to dim[4]
    (70, "<h", (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1536, 1792, 2304, -5, 9999)),  # datatype
    (72, "<h", (0, -1, 1, 8, 16, 32, 64, 128, 255, 32767)),  # bitpix
    *((offset, "<f", _NUMBERS) for offset in (76, 80, 84, 88, 108, 112, 116)),  # pixdim, vox_offset, slope, inter
    (108, "<f", (100.0, 351.0, 353.0, 1e9, 2.0**31, 352.5)),  # vox_offset
    *((offset, "<h", (-1, 0, 1, 2, 3, 4, 99)) for offset in (252, 254)),  # qform_code, sform_code
    *((offset, "<f", _NUMBERS) for offset in range(256, 328, 4)),  # quaternion, offsets, affine
    (0, "<i", (0, 348, 540, -1, 1543569408)),  # size of the header
    (344, "4s", (b"ni1\0", b"n+1\0", b"n+2\0", b"\0\0\0\0", b"n+1x")),
)
# Where files of text headers may be told to read.
_PLACES = ("/etc/hostname", "../secret.raw", "LIST", "scan%03d.raw 1 9999999 1", "", ".", "LIST 2\n/etc/hostname", "/dev/zero")


def make_files(folder: Path) -> dict[str, Path]:
    """One good file of each form, by its form: what `read_volume` takes."""
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(an_array().T)
    image.SetSpacing((0.9, 0.7, 3.0))
    made = {}
    for form in ("nii", "nii.gz", "hdr"):
        kind = nibabel.Nifti1Pair if form == "hdr" else nibabel.Nifti1Image
        made[form] = folder / f"nifti_{form[:3]}.{form}"
        nibabel.save(kind(an_array(), oblique()), made[form])
    for form, packed in (("nrrd", False), ("nrrd", True), ("mha", False), ("mha", True), ("nhdr", False), ("mhd", False)):
        name = f"{'packed ' if packed else ''}{form}"
        made[name] = folder / f"{name.replace(' ', '_')}.{form}"
        sitk.WriteImage(image, made[name], useCompression=packed)
    made["dicom"] = a_dicom_series(folder / "dicom")
    return made


class Attacker:
    """Copies good files and spoils the copies; file `number` is always spoilt in the same way."""

    def __init__(self, good: dict[str, Path], seed: int):
        self.good, self.seed = good, seed

    def spoil(self, number: int, folder: Path) -> tuple[Path, str]:
        """A new hostile file in `folder`, and what was done to it in words."""
        random = np.random.default_rng([self.seed, number])
        form = list(self.good)[number % len(self.good)]
        target = self._copy(form, folder)
        victim = self._victim(target, form, random)
        spoilings = _SPOILINGS["dicom" if form == "dicom" else "nifti" if form in ("nii", "nii.gz", "hdr") else "text"]
        spoiling = spoilings[(number // len(self.good)) % len(spoilings)]
        packed = victim.suffix == ".gz"
        content = gzip.decompress(victim.read_bytes()) if packed and spoiling not in _OUTSIDE else victim.read_bytes()
        content = spoiling(bytearray(content), random)
        victim.write_bytes(gzip.compress(content, 1) if packed and spoiling not in _OUTSIDE else content)
        return target, f"{form}: {spoiling.__name__.strip('_').replace('_', ' ')}"

    def _copy(self, form: str, folder: Path) -> Path:
        source = self.good[form]
        folder.mkdir(parents=True)
        if source.is_dir():
            return Path(shutil.copytree(source, folder / source.name))
        for path in source.parent.glob(f"{source.stem.split('.')[0]}.*"):
            shutil.copy(path, folder)
        return folder / source.name

    def _victim(self, target: Path, form: str, random: Random) -> Path:
        """The file whose bytes are changed: the header, sometimes the voxels beside it, any slice of a series."""
        if form == "dicom":
            return sorted(target.iterdir())[random.integers(23)]
        return target


# ---- what is done to bytes


def _bits_of_the_header(content: bytearray, random: Random) -> bytes:
    for place in random.integers(0, min(len(content), 700), random.integers(1, 9)):
        content[place] ^= 1 << random.integers(8)
    return bytes(content)


def _bits_anywhere(content: bytearray, random: Random) -> bytes:
    for place in random.integers(0, len(content), random.integers(1, 9)):
        content[place] ^= 1 << random.integers(8)
    return bytes(content)


def _truncated(content: bytearray, random: Random) -> bytes:
    return bytes(content[: random.integers(0, len(content))])


def _truncated_header(content: bytearray, random: Random) -> bytes:
    return bytes(content[: random.integers(0, min(len(content), 500))])


def _spliced(content: bytearray, random: Random) -> bytes:
    start, stop = sorted(random.integers(0, len(content), 2))
    return bytes(content[:start] + random.bytes(int(random.integers(1, 40))) + content[stop:])


def _nonsense_inside(content: bytearray, random: Random) -> bytes:
    start = int(random.integers(0, min(len(content), 600)))
    noise = random.bytes(int(random.integers(4, 60)))
    content[start : start + len(noise)] = noise
    return bytes(content)


def _lying_field(content: bytearray, random: Random) -> bytes:
    for _ in range(random.integers(1, 3)):
        offset, form, values = _NIFTI_FIELDS[random.integers(len(_NIFTI_FIELDS))]
        struct.pack_into(form, content, offset, values[random.integers(len(values))])
    return bytes(content)


def _huge_dimensions(content: bytearray, random: Random) -> bytes:
    struct.pack_into("<4h", content, 40, 3, *(int(size) for size in random.integers(700, 32767, 3)))
    return bytes(content)


def _bomb(content: bytearray, random: Random) -> bytes:
    """A hundred million zeros behind a small image: 100 kB where they are packed."""
    return bytes(content) + bytes(100_000_000)


def _lying_text_field(content: bytearray, random: Random) -> bytes:
    """The value of one line of a text header, or one number in it, replaced."""
    end = content.find(b"\n\n") if content.startswith(b"NRRD") else content.find(b"ElementDataFile")
    lines = bytes(content[: end if end > 0 else len(content)]).split(b"\n")
    row = int(random.integers(1, max(2, len(lines))))
    if row < len(lines):
        mark = b": " if b": " in lines[row] else b" = "
        key, _, value = lines[row].partition(mark)
        words = value.split()
        text = _TEXTS[random.integers(len(_TEXTS))].encode()
        if words and random.random() < 0.7:
            words[random.integers(len(words))] = text
            text = b" ".join(words)
        lines[row] = key + mark + text
    return b"\n".join(lines) + bytes(content[end if end > 0 else len(content) :])


def _huge_text_sizes(content: bytearray, random: Random) -> bytes:
    size = b" ".join(str(int(part)).encode() for part in random.integers(700, 2**31 - 1, 3))
    return bytes(content).replace(b"17 19 23", size, 1)


def _data_elsewhere(content: bytearray, random: Random) -> bytes:
    """The voxels are said to lie in a file that is nobody's business."""
    place = _PLACES[random.integers(len(_PLACES))].encode()
    if content.startswith(b"NRRD"):
        head, _, rest = bytes(content).partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(b"data file")]
        return b"\n".join([*lines, b"data file: " + place]) + b"\n\n" + rest
    head, key, rest = bytes(content).partition(b"ElementDataFile = ")
    return head + key + place + b"\n" + rest.partition(b"\n")[2]


def _lying_tag(content: bytearray, random: Random) -> bytes:
    """Rows, columns, bits, frames or lengths of a DICOM file say something else."""
    tags = (b"\x28\x00\x10\x00", b"\x28\x00\x11\x00", b"\x28\x00\x00\x01", b"\x28\x00\x01\x01", b"\x28\x00\x02\x00")
    place = bytes(content).find(tags[random.integers(len(tags))])
    struct.pack_into("<H", content, place + 8, (0, 1, 65535, 3, 33000)[random.integers(5)])
    return bytes(content)


def _lying_length(content: bytearray, random: Random) -> bytes:
    place = bytes(content).find(b"\xe0\x7f\x10\x00")
    struct.pack_into("<I", content, place + 8, (0, 1, 2**32 - 1, 2**31, 10**9)[random.integers(5)])
    return bytes(content)


def _lying_numbers(content: bytearray, random: Random) -> bytes:
    """Decimal strings of position, direction or spacing replaced by as many other letters."""
    tags = (b"\x20\x00\x32\x00", b"\x20\x00\x37\x00", b"\x28\x00\x30\x00")
    place = bytes(content).find(tags[random.integers(len(tags))])
    length = struct.unpack_from("<H", content, place + 6)[0]
    value = (b"nan\\nan\\nan", b"1e999\\0\\0", b"0\\0\\0\\0\\0\\0", b"-1\\-1", b"1,5\\2,5\\3,5", b"\\\\\\\\")[random.integers(6)]
    content[place + 8 : place + 8 + length] = value[:length].ljust(length)
    return bytes(content)


Spoiling = Callable[[bytearray, Random], bytes]
_ANY: tuple[Spoiling, ...] = (_bits_of_the_header, _bits_anywhere, _truncated, _truncated_header, _spliced, _nonsense_inside)
_SPOILINGS: dict[str, tuple[Spoiling, ...]] = {
    "nifti": (*_ANY, _lying_field, _lying_field, _lying_field, _huge_dimensions, _bomb),
    "text": (*_ANY, _lying_text_field, _lying_text_field, _lying_text_field, _huge_text_sizes, _data_elsewhere),
    "dicom": (*_ANY, _lying_tag, _lying_tag, _lying_length, _lying_numbers, _lying_numbers),
}
# Done to the packed bytes of a .nii.gz; everything else to what is inside.
_OUTSIDE = (_bits_anywhere, _truncated, _spliced)
