"""The `t1t2` command; the only file that prints."""

from __future__ import annotations

import argparse
import fnmatch
import functools
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import __version__
from .catalog import ModelCard, find_model, list_models
from .errors import Cancelled, T1T2Error, UnsuitableOutput, UnsuitableVolume
from .translation import DISCLAIMER, MARK, UNIT, Progress, Translation, ignore_progress

if TYPE_CHECKING:
    from .file_translation import FileTranslation
    from .model import Model

_EPILOG = f"""exit codes: 0 all went well, 1 other errors, 2 wrong usage, 3 unsuitable scan, 4 unsuitable model,
5 nothing can be written there, 6 the device failed, 7 unsuitable training data, 130 cancelled.
{DISCLAIMER}"""
_BAR = "{desc} {percentage:3.0f}% |{bar}| {remaining} left"
# What may be wrong with one scan of a folder without being wrong with the next.
_SCAN_FAILURES = (T1T2Error, OSError, MemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are one sentence on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _stop)  # as a cluster does: leave through every `finally`
    try:
        if arguments and arguments[0] in _HAND_OVERS:
            return _HAND_OVERS[arguments[0]](list(arguments[1:]))
        options = _parser().parse_args(arguments)
        return options.run(options)
    except T1T2Error as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(Cancelled())
    except MemoryError:
        return _fail(T1T2Error("There is not enough memory.", "Close other programs, or use a larger machine."))
    except ImportError as error:
        return _fail(T1T2Error(f"A part of the program is missing ({error}).", "Install t1t2translation again, with pip."))
    except BrokenPipeError:  # `t1t2 models | head`
        sys.stderr.close()
        return 1


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _fail(error: T1T2Error) -> int:
    print(f"t1t2: {error}", file=sys.stderr)
    return error.exit_code


def _train(arguments: list[str]) -> int:
    from .training.train import main as train

    return train(arguments)


def _evaluate(arguments: list[str]) -> int:
    from .evaluation.evaluate import main as evaluate

    return evaluate(arguments)


_HAND_OVERS: dict[str, Callable[[list[str]], int]] = {"train": _train, "evaluate": _evaluate}


# ---- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="t1t2",
        description="Synthetic MRI: a T1 of the head becomes a T2, with a map of the expected error.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"t1t2 {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_translate(commands.add_parser("translate", help="translate a scan, or a folder of scans"))
    models = commands.add_parser("models", help="list the models that are installed")
    models.add_argument("--json", action="store_true", help="as JSON")
    models.set_defaults(run=_models)
    commands.add_parser("train", help="train a model on your own data (t1t2 train --help)")
    commands.add_parser("evaluate", help="judge a model by protocol T2P-1 (t1t2 evaluate --help)")
    return parser


def _add_translate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "IN: a NIfTI, NRRD or MetaImage file, a DICOM folder (folder#number for one of several series), or a folder of scans."
    )
    parser.epilog = f"With a folder of scans OUT is a folder, and so is that of --report. {DISCLAIMER}"
    parser.add_argument("source", metavar="IN", help="the scan to translate")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=".nii.gz, .nii, .nrrd or .mha")
    parser.add_argument("--error-map", metavar="FILE", type=Path, help="write the predicted error, in the same unit")
    parser.add_argument("--reference", metavar="T2", help="a real image of the same patient to compare with")
    parser.add_argument("--true-error-map", metavar="FILE", type=Path, help="write |synthetic - reference|")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write an HTML page with pictures, checks and metrics")
    parser.add_argument("--model", default="t1_to_t2", help="name or folder (default: t1_to_t2)")
    parser.add_argument("--mask", metavar="FILE", help="a brain mask or segmentation: the result is 0 outside it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="of a folder, only scans named so, such as '*T1w*'")
    parser.add_argument("--force", action="store_true", help="translate what the input checks refuse")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=_translate, usage_error=parser.error)


# ---- t1t2 models


def _models(options: argparse.Namespace) -> int:
    cards = list_models()
    if options.json:
        print(json.dumps([_card_as_json(card) for card in cards], indent=2))
        return 0
    for card in cards:
        if card.usable:
            print(f"{card.name:<16} {card.source} -> {card.target}  {card.version:<8} {card.title}  ({card.folder})")
        else:
            print(f"{card.name:<16} {card.problem}", file=sys.stderr)
    if not cards:
        print("No models are installed.")
    return 0


def _card_as_json(card: ModelCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "source": card.source,
        "target": card.target,
        "version": card.version,
        "description": card.description,
        "licence": card.licence,
        "sha256": card.sha256,
        "scores": dict(card.scores),
        "folder": str(card.folder),
        "problem": card.problem or None,
    }


# ---- t1t2 translate


def _translate(options: argparse.Namespace) -> int:
    from .dicom import has_dicom_files
    from .file_translation import FileTranslation

    if options.true_error_map and not options.reference:
        options.usage_error("--true-error-map needs --reference")
    card = find_model(options.model)
    source = Path(options.source)
    if source.is_dir() and not has_dicom_files(source):
        return _translate_folder(options, card)
    job = FileTranslation(
        source=options.source,
        synthetic=options.output,
        predicted_error=options.error_map,
        true_error=options.true_error_map,
        report=options.report,
        mask=options.mask,
        reference=options.reference,
    )
    job.check_outputs()
    _run(job, options, card, source.name)
    return 0


def _translate_folder(options: argparse.Namespace, card: ModelCard) -> int:
    """One result per scan; a scan that fails does not stop the others."""
    from .io import find_scans

    for option in ("error_map", "true_error_map", "reference", "mask"):
        if getattr(options, option):
            options.usage_error(f"--{option.replace('_', '-')} works with one scan, IN is a folder of scans")
    if options.output.suffix or options.output.is_file():
        raise UnsuitableOutput(f"IN is a folder of scans, '{options.output}' names a file.", "Give a folder for the results.")
    scans = [scan for scan in find_scans(options.source) if fnmatch.fnmatch(scan.name, options.only)]
    if not scans:
        raise UnsuitableVolume(f"The folder '{options.source}' holds no scan.", "Give a folder with scans, or change --only.")
    failures: dict[str, Exception] = {}
    skipped = 0
    for number, scan in enumerate(scans, 1):
        job = _job_in_folder(scan.source, scan.name, options, card)
        try:
            job.check_outputs()
            if job.is_finished(job.request(card, options.force)):
                skipped += 1
            else:
                _run(job, options, card, f"{number}/{len(scans)} {scan.name}")
        except _SCAN_FAILURES as error:
            failures[scan.name] = error
    if not options.quiet:
        print(f"{len(scans) - skipped - len(failures)} translated, {skipped} were done before, {len(failures)} failed.")
    return _report_failures(failures)


def _job_in_folder(source: str, name: str, options: argparse.Namespace, card: ModelCard) -> FileTranslation:
    from .file_translation import FileTranslation

    stem = f"{name}_{MARK}_{card.target}"
    return FileTranslation(
        source=source,
        synthetic=options.output / f"{stem}.nii.gz",
        predicted_error=options.output / f"{stem}_error.nii.gz",
        report=options.report / f"{stem}.html" if options.report else None,
    )


def _report_failures(failures: dict[str, Exception]) -> int:
    """The code that all failures share, else 1; 0 without any."""
    for name, error in failures.items():
        print(f"t1t2: {name}: {error or 'not enough memory'}", file=sys.stderr)
    codes = {error.exit_code if isinstance(error, T1T2Error) else 1 for error in failures.values()}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def _run(job: FileTranslation, options: argparse.Namespace, card: ModelCard, title: str) -> None:
    from tqdm import tqdm

    # disable=None: no bar where stderr is a file
    with tqdm(total=1.0, desc=title, bar_format=_BAR, leave=False, disable=True if options.quiet else None) as bar:
        progress = ignore_progress if bar.disable else _progress_of(bar)
        translation = job.run(_loaded(str(card.folder)), options.device, options.force, progress)
    if not options.quiet:
        print(_summary(job, translation))
        for line in _notes(translation):
            print(f"  note: {line}")


@functools.cache
def _loaded(folder: str) -> Model:
    from .model import load_model

    return load_model(folder)


def _progress_of(bar: Any) -> Progress:
    def progress(fraction: float, message: str) -> None:
        bar.update(max(0.0, fraction - bar.n))

    return progress


def _summary(job: FileTranslation, translation: Translation) -> str:
    made = translation.provenance
    more = [kind.replace("_", " ") for kind in job.outputs if kind not in ("synthetic", "record")]
    line = f"{job.synthetic.name}: {MARK} {made['target_sequence']}"
    line += (f" with {', '.join(more)}" if more else "") + f" by {made['model']} {made['model_version']}"
    line += f" on {made['device']} in {made['seconds']:.1f} s"
    if translation.comparison is not None and translation.comparison.metrics:
        region, scores = next(iter(translation.comparison.metrics.items()))
        line += f", mean error {scores['MAE'] * UNIT:.0f} of {UNIT} ({region})"
    return line


def _notes(translation: Translation) -> list[str]:
    """What a reader must know: checks that are not green, then warnings."""
    return [check.message for check in translation.checks if check.level != "green"] + list(translation.warnings)
