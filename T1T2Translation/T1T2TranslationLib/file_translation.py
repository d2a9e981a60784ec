"""One translation from files to files: what is read, what appears under which names, and the JSON record beside it."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__, dicom, layers
from .catalog import ModelCard
from .errors import UnsuitableOutput, UnsuitableVolume
from .io import located, read_volume, scan_name
from .output import check_output, check_replaceable, staged_files, volume_extension
from .translation import DISCLAIMER, MARK, Progress, Translation, ignore_progress
from .volume import Volume

if TYPE_CHECKING:  # torch is loaded by whoever loads the model
    from .model import Model


@dataclass(frozen=True)
class FileTranslation:
    """Which files a translation reads and writes.

    source, mask, region, reference: what `read_volume` takes. The others are written; a record "<synthetic>.json" always is.
    dicom: whether the images also go, as DICOM series, into the folder "<synthetic>_dicom".
    """

    source: str
    synthetic: Path
    predicted_error: Path | None = None
    true_error: Path | None = None
    report: Path | None = None
    mask: str | None = None
    region: str | None = None
    reference: str | None = None
    dicom: bool = False

    @classmethod
    def in_folder(cls, source: str, name: str, folder: Path, card: ModelCard, **more: Any) -> FileTranslation:
        """The translation of one scan of many: its results lie in `folder`, named after the scan, the mark and the sequence."""
        stem = f"{name}_{MARK}_{card.target}"
        return cls(source, folder / f"{stem}.nii.gz", folder / f"{stem}_error.nii.gz", **more)

    @property
    def record(self) -> Path:
        """The JSON file beside the synthetic volume."""
        return self._beside(".json")

    @property
    def dicom_folder(self) -> Path | None:
        """The folder of DICOM series beside the synthetic volume, if there is to be one."""
        return self._beside("_dicom") if self.dicom else None

    def _beside(self, ending: str) -> Path:
        return self.synthetic.with_name(self.synthetic.name[: -len(volume_extension(self.synthetic))] + ending)

    @property
    def _inputs(self) -> list[str]:
        return [path for path in (self.source, self.mask, self.region, self.reference) if path is not None]

    @property
    def outputs(self) -> dict[str, Path]:
        """Every file that is written, by what it is; the record last, since it says that all others are there."""
        named = {
            "synthetic": self.synthetic,
            "predicted_error": self.predicted_error,
            "true_error": self.true_error,
            "report": self.report,
            "record": self.record,
        }
        return {kind: path for kind, path in named.items() if path is not None}

    def check_outputs(self) -> None:
        """Raise UnsuitableOutput, before any work is done, where a result could not be written or would destroy something."""
        inputs = [located(path)[0] for path in self._inputs]
        for kind, path in self.outputs.items():
            if kind == "report" and path.suffix.lower() not in (".html", ".htm"):
                raise UnsuitableOutput(f"The report is an HTML page, '{path.name}' is not.", "End its name in .html.")
            if kind not in ("report", "record"):
                volume_extension(path)
            check_output(path, inputs)
            check_replaceable(path)
        if self.dicom_folder is not None:
            from .dicom_export import check_folder

            check_folder(self.dicom_folder)
        if len({path.resolve() for path in self.outputs.values()}) < len(self.outputs):
            raise UnsuitableOutput("Two results have the same file name.", "Give each its own.")

    def request(self, card: ModelCard, accept_any_input: bool) -> dict[str, Any]:
        """What determines the result, as plain JSON values; the same request gives the same files.

        What is not there is left out where earlier versions did not know it: their results are still of this request.
        """
        region = {"region_sha256": hash_of(self.region)} if self.region else {}
        calibration = {"error_factor": card.error_factor} if card.error_factor != 1 else {}
        return {
            "input_sha256": hash_of(self.source),
            "mask_sha256": hash_of(self.mask) if self.mask else None,
            "reference_sha256": hash_of(self.reference) if self.reference else None,
            "weights_sha256": card.sha256,
            "accept_any_input": accept_any_input,
            "software": f"T1T2Translation {__version__}",
            **region,
            **calibration,
        }

    def refuse_to_replace(self, card: ModelCard) -> None:
        """Raise UnsuitableOutput where another model's results are: neither a result nor a refusal may take their place."""
        provenance = self._read_record().get("provenance")
        made_by = provenance.get("model") if isinstance(provenance, dict) else None
        if made_by not in (None, card.name):
            raise UnsuitableOutput(f"'{self.synthetic.name}' is a result of the model {made_by}.", "Choose another folder.")

    def is_finished(self, request: Mapping[str, Any]) -> bool:
        """Whether all results of this very request are there, with a record that is whole."""
        record = self._recorded(request)
        if record is None or not layers.has_notes(record) or not all(path.is_file() for path in self.outputs.values()):
            return False
        return self.dicom_folder is None or self.dicom_folder.is_dir()

    def refusal(self, request: Mapping[str, Any]) -> UnsuitableVolume | None:
        """Why this very request was refused before; None if it was not."""
        refused = (self._recorded(request) or {}).get("refused")
        if not isinstance(refused, dict):
            return None
        return UnsuitableVolume(str(refused.get("message")), str(refused.get("remedy", "")))

    def notes(self) -> list[str]:
        """What a reader must know of the results that are there: checks that are not green, and warnings."""
        record = self._read_record()
        return layers.notes(record) if layers.has_notes(record) else []

    def record_refusal(self, error: UnsuitableVolume, request: Mapping[str, Any]) -> None:
        """Write the record of a scan that is not suited, so that it is not tried again."""
        refused = {"message": error.message, "remedy": error.remedy}
        record = {"mark": MARK, "disclaimer": DISCLAIMER, "refused": refused, "request": dict(request)}
        with staged_files([located(self.source)[0]]) as staging:
            staging.add_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", self.record)
        for path in self.outputs.values():  # of what the scan once was: `check_outputs` knows that they are ours
            if path != self.record:
                path.unlink(missing_ok=True)
        if self.dicom_folder is not None:
            shutil.rmtree(self.dicom_folder, ignore_errors=True)

    def _recorded(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The record beside the synthetic volume, if it is one of this request."""
        record = self._read_record()
        return record if record.get("request") == dict(request) else None

    def _read_record(self) -> dict[str, Any]:
        """The record beside the synthetic volume; empty where there is none."""
        try:
            record = json.loads(self.record.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return record if isinstance(record, dict) else {}

    def run(self, model: Model, device: str, accept_any_input: bool, progress: Progress = ignore_progress) -> Translation:
        """Read, translate and write; all results appear together, or none. Raises what reading, `translate`, writing raise."""
        from .inference import translate

        volume = read_volume(self.source)
        translation = translate(
            volume,
            model,
            mask=read_volume(self.mask, allow_labels=True) if self.mask else None,
            region=read_volume(self.region, allow_labels=True) if self.region else None,
            reference=read_volume(self.reference) if self.reference else None,
            device=device,
            accept_any_input=accept_any_input,
            progress=progress,
        )
        self.save(volume, translation, model.card, accept_any_input)
        return translation

    def save(self, volume: Volume, translation: Translation, card: ModelCard, accept_any_input: bool) -> None:
        """Write all results of a translation of the source, made here or elsewhere. Raises UnsuitableOutput."""
        self._write(volume, translation, self.request(card, accept_any_input))

    def _write(self, volume: Volume, translation: Translation, request: Mapping[str, Any]) -> None:
        inputs = [located(path)[0] for path in self._inputs]
        with staged_files(inputs) as staging:
            for kind, image in _images(translation).items():
                if kind in self.outputs:
                    staging.add_volume(image, self.outputs[kind], _metadata(kind, translation))
            if self.report is not None:
                from .report import render_report

                staging.add_text(render_report(volume, translation), self.report)
            if self.dicom_folder is not None:
                _write_dicom(translation, self.source, self.dicom_folder)
            staging.add_text(self._record(volume, translation, request), self.record)

    def _record(self, volume: Volume, translation: Translation, request: Mapping[str, Any]) -> str:
        """JSON without paths: the names of the files, how they came about, and what to think of them."""
        comparison = translation.comparison
        record = {
            "mark": MARK,
            "disclaimer": DISCLAIMER,
            "input": volume.name,
            "outputs": {kind: path.name for kind, path in self.outputs.items()},
            "grid": {"shape": list(volume.shape), "spacing_mm": [round(float(size), 6) for size in volume.spacing_mm]},
            "request": dict(request),
            "provenance": dict(translation.provenance),
            "checks": [{"name": check.name, "level": check.level, "message": check.message} for check in translation.checks],
            "warnings": list(translation.warnings),
            "reference": None if comparison is None else {"name": comparison.reference.name, "registered": comparison.registered},
            "metrics": None if comparison is None else comparison.metrics,
        }
        return json.dumps(_plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write_dicom(translation: Translation, source: str, folder: Path) -> None:
    from . import dicom_export

    origin = dicom_export.read_origin(source_files(source))
    dicom_export.write_series(dicom_export.series_of_translation(translation, origin), folder)


def source_files(source: str | Path) -> tuple[Path, ...]:
    """The files of the DICOM series that `source` names, as they are stacked; none for other formats."""
    location, label = located(source)
    if location.is_dir():
        return dicom.choose_series(location, label).files
    return dicom.series_of(location).files if dicom.is_dicom_file(location) else ()


def hash_of(source: str | Path) -> str:
    """SHA-256 over the files that `source` names: one file, a detached header with its data, or a DICOM folder."""
    digest = hashlib.sha256()
    for path in _files_of(source):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _files_of(source: str | Path) -> Iterator[Path]:
    location, _label = located(source)
    if location.is_dir():
        yield from sorted(path for path in location.iterdir() if path.is_file())
        return
    yield location
    if location.suffix.lower() in (".hdr", ".nhdr", ".mhd"):
        stem = scan_name(location)
        yield from sorted(path for path in location.parent.glob("*") if path.stem == stem and path != location)


def _images(translation: Translation) -> dict[str, Volume]:
    images = {"synthetic": translation.synthetic, "predicted_error": translation.predicted_error}
    if translation.comparison is not None:
        images["true_error"] = translation.comparison.absolute_error
    return images


def _metadata(kind: str, translation: Translation) -> dict[str, str]:
    """What a volume's own file says of itself; NIfTI has room for the first 79 letters of the description."""
    provenance = translation.provenance
    target, model = provenance["target_sequence"], f"{provenance['model']} {provenance['model_version']}".strip()
    what = f"{MARK} {target}" if kind == "synthetic" else f"{MARK} {target} {kind.replace('_', ' ')}"
    return {
        "description": f"{what}; not for diagnosis; {model}",
        "T1T2_disclaimer": DISCLAIMER,
        "T1T2_unit": str(provenance["unit"]),
        "T1T2_weights_sha256": str(provenance["weights_sha256"]),
    }


def _plain(value: Any) -> Any:
    """Plain JSON values; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
