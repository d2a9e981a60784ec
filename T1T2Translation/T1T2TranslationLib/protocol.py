"""The messages between panel and worker: one JSON object a line, arrays in `.npy` files of the job's folder.

    panel -> worker   {"command": "translate", "id", "folder", "input", "mask", "region", "reference", "model", "device",
                       "accept_any_input"}
                      {"command": "compare", "id", "folder", "input", "mask", "region", "reference", "translation"}
                      {"command": "translate_file", "id", "folder", "source", "name", "results", "model", "device",
                       "accept_any_input"}
                      {"command": "cancel", "id"}
    worker -> panel   {"event": "ready", ...}        {"event": "progress", "id", "fraction", "message"}
                      {"event": "done", "id", "translation"}      {"event": "done", "id", "files": {...}}
                      {"event": "error", "id", "kind", "message", "remedy"}

An image is {"array": "<path>.npy", "affine": [[...]], "name": "..."}; its file lies in the job's folder, which the panel makes
and removes.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import KINDS, T1T2Error, UnsuitableOutput
from .translation import Check, Comparison, Translation
from .volume import Volume

Message = dict[str, Any]
UNTIL_STDIN_ENDS = "--until-stdin-ends"  # the first argument of a `t1t2` that lives no longer than who started it


class UnreadableMessage(T1T2Error):
    """A line or a file between panel and worker that is not what the protocol promises."""


@dataclass(frozen=True)
class FilesDone:
    """The results of a `file_request` are on disk.

    were_there: since an earlier time; nothing was computed. notes: what a reader of them must know, in sentences.
    """

    were_there: bool
    notes: tuple[str, ...] = ()


# ---- lines


def encode(message: Mapping[str, Any]) -> str:
    """One line of ASCII JSON, newline included."""
    return json.dumps(message) + "\n"


def decode(line: str | bytes) -> Message:
    """The object in one line; raises UnreadableMessage for anything else."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:  # also UnicodeDecodeError
        raise UnreadableMessage(f"The line {line[:80]!r} is not JSON.") from error
    if not isinstance(message, dict) or not ({"command", "event"} & message.keys()):
        raise UnreadableMessage(f"The line {line[:80]!r} is neither a request nor an event.")
    return message


# ---- requests


def translate_request(
    job: str,
    folder: Path,
    volume: Volume,
    *,
    mask: Volume | None = None,
    region: Volume | None = None,
    reference: Volume | None = None,
    model: str,
    device: str = "auto",
    accept_any_input: bool = False,
) -> Message:
    """Write the images into the job's folder and ask for their translation; results go there too.

    Raises UnsuitableOutput where the folder cannot be written.
    """
    return {
        "command": "translate",
        "id": job,
        "folder": str(folder),
        "input": volume_to_message(volume, folder, "input"),
        "mask": _optional_message(mask, folder, "mask"),
        "region": _optional_message(region, folder, "region"),
        "reference": _optional_message(reference, folder, "reference"),
        "model": model,
        "device": device,
        "accept_any_input": accept_any_input,
    }


def translate_arguments(message: Mapping[str, Any]) -> dict[str, Any]:
    """What `inference.translate` is to be called with: volume, model, mask, region, reference, device, accept_any_input."""
    try:
        folder = Path(message["folder"])
        return {
            "volume": volume_from_message(message["input"], folder),
            "mask": _optional_volume(message["mask"], folder),
            "region": _optional_volume(message["region"], folder),
            "reference": _optional_volume(message["reference"], folder),
            "model": str(message["model"]),
            "device": str(message["device"]),
            "accept_any_input": bool(message["accept_any_input"]),
        }
    except (KeyError, TypeError) as error:
        raise UnreadableMessage(f"A translate request is incomplete ({error!r}).") from error


def compare_request(
    job: str,
    folder: Path,
    volume: Volume,
    *,
    translation: Translation,
    reference: Volume,
    mask: Volume | None = None,
    region: Volume | None = None,
) -> Message:
    """Write the images into the job's folder and ask how far a translation is from a real image: no network is run.

    It is answered like a request to translate, by the same translation with its comparison. Raises UnsuitableOutput.
    """
    return {
        "command": "compare",
        "id": job,
        "folder": str(folder),
        "input": volume_to_message(volume, folder, "input"),
        "mask": _optional_message(mask, folder, "mask"),
        "region": _optional_message(region, folder, "region"),
        "reference": volume_to_message(reference, folder, "reference"),
        "translation": translation_to_message(translation, folder),
    }


def compare_arguments(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a compare request holds: translation, volume, reference, mask, region."""
    try:
        folder = Path(message["folder"])
        return {
            "translation": translation_from_message(message["translation"], folder),
            "volume": volume_from_message(message["input"], folder),
            "reference": volume_from_message(message["reference"], folder),
            "mask": _optional_volume(message["mask"], folder),
            "region": _optional_volume(message["region"], folder),
        }
    except (KeyError, TypeError) as error:
        raise UnreadableMessage(f"A compare request is incomplete ({error!r}).") from error


def file_request(
    job: str,
    folder: Path,
    *,
    source: str,
    name: str,
    results: str,
    model: str,
    device: str = "auto",
    accept_any_input: bool = False,
) -> Message:
    """Ask for the translation of a scan on disk into files, unless they are there: no image crosses, in neither direction.

    source, name: of a `Scan`. results: the folder to write into, see `FileTranslation.in_folder`.
    """
    return {
        "command": "translate_file",
        "id": job,
        "folder": str(folder),
        "source": source,
        "name": name,
        "results": results,
        "model": model,
        "device": device,
        "accept_any_input": accept_any_input,
    }


def file_arguments(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a file request holds: source, name, results (a Path), model, device, accept_any_input."""
    try:
        words = {key: str(message[key]) for key in ("source", "name", "model", "device")}
        return {**words, "results": Path(message["results"]), "accept_any_input": bool(message["accept_any_input"])}
    except (KeyError, TypeError) as error:
        raise UnreadableMessage(f"A translate_file request is incomplete ({error!r}).") from error


def cancel_request(job: str) -> Message:
    return {"command": "cancel", "id": job}


# ---- events


def ready_event(**facts: Any) -> Message:
    """The worker listens; `facts` are plain JSON values about it (versions, ...)."""
    return {"event": "ready", **facts}


def progress_event(job: str, fraction: float, message: str) -> Message:
    return {"event": "progress", "id": job, "fraction": float(fraction), "message": message}


def read_progress(message: Mapping[str, Any]) -> tuple[float, str]:
    """The fraction in 0..1 and the words of a progress event; raises UnreadableMessage."""
    try:
        fraction = float(message["fraction"])
        if math.isnan(fraction):
            raise ValueError("the fraction is not a number")
        return min(max(fraction, 0.0), 1.0), str(message["message"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableMessage(f"A progress event is incomplete ({error!r}).") from error


def done_event(job: str, result: Translation | FilesDone, folder: Path) -> Message:
    """Announce a result; its images are written into the job's folder, unless it lies in files of its own."""
    if isinstance(result, FilesDone):
        return {"event": "done", "id": job, "files": dataclasses.asdict(result)}
    return {"event": "done", "id": job, "translation": translation_to_message(result, folder)}


def read_done(message: Mapping[str, Any], folder: Path) -> Translation | FilesDone:
    """The result a done event announces, its images read from the job's folder; raises UnreadableMessage."""
    try:
        if "files" in message:
            return FilesDone(bool(message["files"]["were_there"]), tuple(map(str, message["files"]["notes"])))
        return translation_from_message(message["translation"], folder)
    except (KeyError, TypeError) as error:
        raise UnreadableMessage(f"A done event is incomplete ({error!r}).") from error


def error_to_message(error: T1T2Error, job: str | None = None) -> Message:
    return {"event": "error", "id": job, "kind": error.kind, "message": error.message, "remedy": error.remedy}


def raise_error(message: Mapping[str, Any]) -> NoReturn:
    """Raise the error of an error event again, as its own class."""
    kind = KINDS.get(str(message.get("kind")), T1T2Error)
    raise kind(str(message.get("message", "The worker failed without saying why.")), str(message.get("remedy", "")))


# ---- values


def volume_to_message(volume: Volume, folder: Path, stem: str) -> Message:
    """Write `<folder>/<stem>.npy` and describe it; raises UnsuitableOutput where that fails."""
    path = Path(folder) / f"{stem}.npy"
    try:
        np.save(path, volume.array, allow_pickle=False)
    except OSError as error:
        raise UnsuitableOutput(
            f"The temporary file '{path}' cannot be written ({error.strerror or error}).",
            "Free some space on that disk, or choose another temporary folder.",
        ) from error
    return {"array": str(path), "affine": volume.affine.tolist(), "name": volume.name}


def volume_from_message(message: Mapping[str, Any], folder: Path) -> Volume:
    """The image a message describes; its file must lie in `folder`."""
    path = Path(message["array"]).resolve()
    if not path.is_relative_to(Path(folder).resolve()):
        raise UnreadableMessage(f"The image '{path}' does not lie in the job's folder '{folder}'.")
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UnreadableMessage(f"The image '{path}' cannot be read ({error}).") from error
    return Volume(array, np.array(message["affine"], dtype=np.float64), str(message["name"]))


def translation_to_message(translation: Translation, folder: Path) -> Message:
    """Write the result's images into `folder` and describe the whole."""
    comparison = translation.comparison
    return {
        "synthetic": volume_to_message(translation.synthetic, folder, "synthetic"),
        "predicted_error": volume_to_message(translation.predicted_error, folder, "predicted_error"),
        "checks": [{"name": check.name, "level": check.level, "message": check.message} for check in translation.checks],
        "warnings": list(translation.warnings),
        "provenance": dict(translation.provenance),
        "comparison": None if comparison is None else _comparison_to_message(comparison, folder),
    }


def translation_from_message(message: Mapping[str, Any], folder: Path) -> Translation:
    comparison = message["comparison"]
    return Translation(
        synthetic=volume_from_message(message["synthetic"], folder),
        predicted_error=volume_from_message(message["predicted_error"], folder),
        checks=tuple(Check(check["name"], check["level"], check["message"]) for check in message["checks"]),
        warnings=tuple(message["warnings"]),
        provenance=dict(message["provenance"]),
        comparison=None if comparison is None else _comparison_from_message(comparison, folder),
    )


def _comparison_to_message(comparison: Comparison, folder: Path) -> Message:
    return {
        "reference": volume_to_message(comparison.reference, folder, "registered_reference"),
        "signed_error": volume_to_message(comparison.signed_error, folder, "signed_error"),
        "absolute_error": volume_to_message(comparison.absolute_error, folder, "absolute_error"),
        "metrics": {region: dict(values) for region, values in comparison.metrics.items()},
        "registered": comparison.registered,
        "warnings": list(comparison.warnings),
    }


def _comparison_from_message(message: Mapping[str, Any], folder: Path) -> Comparison:
    return Comparison(
        reference=volume_from_message(message["reference"], folder),
        signed_error=volume_from_message(message["signed_error"], folder),
        absolute_error=volume_from_message(message["absolute_error"], folder),
        metrics={region: dict(values) for region, values in message["metrics"].items()},
        registered=bool(message["registered"]),
        warnings=tuple(message["warnings"]),
    )


def _optional_message(volume: Volume | None, folder: Path, stem: str) -> Message | None:
    return None if volume is None else volume_to_message(volume, folder, stem)


def _optional_volume(message: Mapping[str, Any] | None, folder: Path) -> Volume | None:
    return None if message is None else volume_from_message(message, folder)
