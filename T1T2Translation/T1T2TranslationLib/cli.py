"""The `t1t2` command; the only file that prints."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import functools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import __version__
from .catalog import ModelCard, find_model, list_models
from .errors import Cancelled, T1T2Error, UnsuitableOutput, UnsuitableVolume
from .protocol import UNTIL_STDIN_ENDS
from .translation import DISCLAIMER, MARK, UNIT, Progress, Translation, ignore_progress

if TYPE_CHECKING:
    from .cohort import Shard
    from .file_translation import FileTranslation
    from .model import Model

_EPILOG = f"""exit codes: 0 all went well, 1 other errors, 2 wrong usage, 3 unsuitable scan, 4 unsuitable model,
5 nothing can be written there, 6 the device failed, 7 unsuitable training data, 130 cancelled.
{DISCLAIMER}"""
_BAR = "{desc} {percentage:3.0f}% |{bar}| {remaining} left"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are one sentence on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == UNTIL_STDIN_ENDS:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        arguments = arguments[1:]
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
    except OSError as error:  # such as a name too long for any disk
        return _fail(T1T2Error(f"The system refuses '{error.filename}' ({error.strerror}).", "Give another name or place."))


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _end_with_stdin() -> None:
    while os.read(0, 4096):  # not `sys.stdin`: its lock would be held when the command ends by itself
        pass
    os._exit(Cancelled.exit_code)


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
    scans = commands.add_parser("scans", help="list what translate would take of a folder")
    scans.add_argument("folder", metavar="FOLDER", type=Path, help="a folder of scans")
    scans.add_argument("--json", action="store_true", help="as JSON")
    scans.set_defaults(run=_scans)
    _add_check(commands.add_parser("check", help="say of a scan whether a model is made for it, and why"))
    doctor = commands.add_parser("doctor", help="print what a helper needs to know; nothing about patients")
    doctor.set_defaults(run=_doctor)
    commands.add_parser("train", help="train a model on your own data (t1t2 train --help)")
    commands.add_parser("evaluate", help="judge a model by protocol T2P-1 (t1t2 evaluate --help)")
    _add_datalist(commands.add_parser("datalist", help="write the data list of a folder, to be checked and edited"))
    return parser


def _add_translate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "IN: a NIfTI, NRRD or MetaImage file, a DICOM folder (folder#number for one of several series), a folder of scans, or "
        "a MONAI data list (.json)."
    )
    parser.epilog = f"With many scans OUT is a folder, and so is that of --report. {DISCLAIMER}"
    parser.add_argument("source", metavar="IN", help="the scan to translate, or many")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="a folder, or .nii.gz, .nii, .nrrd, .mha")
    parser.add_argument("--dicom", action="store_true", help="write the result as DICOM series too, into a folder beside it")
    parser.add_argument("--error-map", metavar="FILE", type=Path, help="write the predicted error, in the same unit")
    parser.add_argument("--reference", metavar="T2", help="a real image of the same patient to compare with")
    parser.add_argument("--true-error-map", metavar="FILE", type=Path, help="write |synthetic - reference|")
    parser.add_argument("--report", metavar="FILE", type=Path, help="write an HTML page with pictures, checks and metrics")
    parser.add_argument("--model", default="t1_to_t2", help="name or folder (default: t1_to_t2)")
    parser.add_argument("--mask", metavar="FILE", help="a brain mask or segmentation: the result is 0 outside it")
    parser.add_argument("--region", metavar="FILE", help="translate only where this is not 0: sooner, and there the same")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--only", metavar="PATTERN", default="*", help="of many scans, those named so, such as '*T1w*'")
    parser.add_argument(
        "--shard", metavar="I/N", type=_shard, default="1/1", help="of many scans, part I of N, on several machines"
    )
    parser.add_argument("--refusals-are-answers", action="store_true", help="of many scans: exit 0 though some were refused")
    parser.add_argument("--force", action="store_true", help="translate what the input checks refuse")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=_translate, usage_error=parser.error)


def _shard(text: str) -> Shard:
    from .cohort import Shard

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; parts are written 1/8, 2/8, ... 8/8") from error


# ---- t1t2 datalist


def _add_datalist(parser: argparse.ArgumentParser) -> None:
    parser.description = "What train and evaluate would read in a folder of BraTS 2018-2023, IXI or BIDS, as a MONAI data list."
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the data set")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the list, such as datalist.json")
    parser.add_argument("--folds", metavar="K", type=int, help="deal the patients into K folds")
    parser.set_defaults(run=_datalist)


def _datalist(options: argparse.Namespace) -> int:
    from .survey import write_datalist

    found = write_datalist(options.folder, options.output, options.folds)
    for line in found.lines():
        print(line)
    return 0


# ---- t1t2 scans


def _scans(options: argparse.Namespace) -> int:
    from .io import find_scans

    scans = find_scans(options.folder)
    if not scans and not options.json:
        raise UnsuitableVolume(f"'{options.folder}' holds no scan.", "Name a folder with NIfTI, NRRD, MetaImage or DICOM files.")
    if options.json:
        print(json.dumps([dataclasses.asdict(scan) for scan in scans]))
        return 0
    for scan in scans:
        print(f"{scan.name:<32} {scan.source}")
    return 0


# ---- t1t2 check


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.description = "Green: go on. Amber: it is translated, and marked. Red: it is refused. Exit code 3 if any scan is red."
    parser.add_argument("source", metavar="IN", help="a scan, a folder of scans, or with --trial a datalist.json")
    parser.add_argument("--model", default="t1_to_t2", help="name or folder (default: t1_to_t2)")
    parser.add_argument("--trial", action="store_true", help="table of all lights over a data list, also degraded")
    parser.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    from .checks import check_input, check_model, light_of
    from .dicom import has_dicom_files
    from .head import find_head
    from .io import find_scans, read_volume

    card = find_model(options.model)
    if options.trial:
        return _trial(options.source, card.source)
    source = Path(options.source)
    is_folder = source.is_dir() and not has_dicom_files(source)
    scans = [(scan.source, scan.name) for scan in find_scans(source)] if is_folder else [(options.source, source.name)]
    if not scans:
        raise UnsuitableVolume(f"'{options.source}' holds no scan.", "Name a scan, or a folder of them.")
    lights = set()
    for path, name in scans:
        try:
            volume = read_volume(path)
            head = find_head(volume)
            checks = check_input(volume, head, card.source) + check_model(card, head)
        except UnsuitableVolume as error:
            lights.add("red")
            print(f"{'red':<6} {name}\n  red    {error}")
            continue
        lights.add(light_of(checks))
        print(f"{light_of(checks):<6} {name}")
        for check in sorted(checks, key=lambda check: ("red", "amber", "green").index(check.level)):
            if check.level != "green" or len(scans) == 1:
                print(f"  {check.level:<6} {check.message}")
    return UnsuitableVolume.exit_code if "red" in lights else 0


def _trial(datalist: str, source_sequence: str) -> int:
    from .input_trial import as_table, held_out_errors, ranges, run_trial

    outcomes = list(run_trial(datalist, source_sequence))
    print(f"green / amber / red, where a {source_sequence} is needed\n\n{as_table(outcomes)}\n")
    for sequence, (least, most) in ranges(outcomes).items():
        print(f"Rank correlation of brightness with roughness, {sequence}: {least:.2f} to {most:.2f}")
    wrong, total = held_out_errors(outcomes)
    print(f"Sequence told wrong, boundaries set without the patient's fold: {wrong} of {total} undegraded scans.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import report

    print(report(), end="")
    return 0


# ---- t1t2 models


def _models(options: argparse.Namespace) -> int:
    cards = list_models()
    if options.json:
        print(json.dumps([_card_as_json(card) for card in cards], indent=2))
        return 0
    for card in cards:
        if card.usable:
            print(f"{card.name:<16} {card.source} -> {card.target}  {card.version:<8} {card.title}  ({card.folder})")
            print(f"{'':<16} {card.trained}; {card.judged}")
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
        "weak_at": list(card.weak_at),
        "steps": card.steps,
        "minutes": card.minutes,
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
    if source.suffix.lower() == ".json" or (source.is_dir() and not has_dicom_files(source)):
        return _translate_cohort(options, card)
    if options.shard.count > 1:
        options.usage_error("--shard works with a folder of scans or a data list, IN is one scan")
    if options.only != "*":
        options.usage_error("--only works with a folder of scans or a data list, IN is one scan")
    job = FileTranslation(
        source=options.source,
        synthetic=_output_file(options, card),
        predicted_error=options.error_map,
        true_error=options.true_error_map,
        report=options.report,
        mask=options.mask,
        region=options.region,
        reference=options.reference,
        dicom=options.dicom,
    )
    job.check_outputs()
    _run(job, options, card, source.name)
    return 0


def _output_file(options: argparse.Namespace, card: ModelCard) -> Path:
    """OUT, or in the folder OUT a file named after the scan."""
    from .io import located, scan_name

    if options.output.suffix and not os.path.isdir(options.output):  # which takes a name too long for the disk
        return options.output
    return options.output / f"{scan_name(located(options.source)[0])}_{MARK}_{card.target}.nii.gz"


def _translate_cohort(options: argparse.Namespace, card: ModelCard) -> int:
    """One result per scan; a scan that fails does not stop the others."""
    from .cohort import scans_of, work_through

    for option in ("error_map", "true_error_map", "reference", "mask", "region"):
        if getattr(options, option):
            options.usage_error(f"--{option.replace('_', '-')} works with one scan, IN is many")
    if options.output.suffix or options.output.is_file():
        raise UnsuitableOutput(f"IN is many scans, '{options.output}' names a file.", "Give a folder for the results.")
    scans = scans_of(Path(options.source), card.source, options.shard)
    scans = [scan for scan in scans if fnmatch.fnmatch(scan.name, options.only)]
    if not scans and options.shard.count == 1:
        raise UnsuitableVolume(f"'{options.source}' holds no scan that is wanted.", "Give other scans, or change --only.")
    order = {scan.name: f"{number}/{len(scans)} {scan.name}" for number, scan in enumerate(scans, 1)}
    tally = work_through(
        scans,
        lambda scan: _job_in_folder(scan.source, scan.name, options, card),
        card,
        options.force,
        lambda job, scan: _run(job, options, card, order[scan.name]),
    )
    if not options.quiet:
        counts = f"{len(tally.translated)} translated, {len(tally.done_before)} were done before"
        print(f"{counts}, {len(tally.refused)} refused, {len(tally.failed)} failed.")
    for name, error in sorted({**tally.refused, **tally.failed}.items()):
        print(f"t1t2: {name}: {error or 'not enough memory'}", file=sys.stderr)
    return tally.exit_code(counts_refusals=not options.refusals_are_answers)


def _job_in_folder(source: str, name: str, options: argparse.Namespace, card: ModelCard) -> FileTranslation:
    from .file_translation import FileTranslation

    report = options.report / f"{name}_{MARK}_{card.target}.html" if options.report else None
    return FileTranslation.in_folder(source, name, options.output, card, report=report, dicom=options.dicom)


def _run(job: FileTranslation, options: argparse.Namespace, card: ModelCard, title: str) -> None:
    from tqdm import tqdm

    # disable=None: no bar where stderr is a file
    with tqdm(total=1.0, desc=title, bar_format=_BAR, leave=False, disable=True if options.quiet else None) as bar:
        progress = ignore_progress if bar.disable else _progress_of(bar)
        translation = job.run(_loaded(str(card.folder)), options.device, options.force, progress)
    if not options.quiet:
        print(_summary(job, translation))
        for line in translation.notes:
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
