"""What a trained model says of itself to people: docs/README.md of its bundle, written from the metadata alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .catalog import TABLE_MAE, read_metadata, weak_kinds
from .output import staged_files
from .translation import DISCLAIMER, MARK

PAGE = "docs/README.md"
NOT_STATED = "not stated"
NEARER = "nearer"  # in a bundle's scores: in how many subjects the model's error was below the look-up table's
_WRITTEN_BY_US = "<!-- Written by t1t2 train;"
_OURS = f"{_WRITTEN_BY_US} remove this line before you edit, and only the scores below are written again. -->"
SCORES_MARKS = ("<!-- scores: written by t1t2 evaluate -->", "<!-- end of scores -->")
# Name of a score in the metadata -> its column's head and digits; others have their own name and three digits.
_COLUMNS = {
    "subjects": ("subjects", 0),
    "patients": ("patients", 0),
    TABLE_MAE: ("MAE of a look-up table", 3),
    NEARER: ("subjects where the model is nearer", 0),
    "PSNR": ("PSNR, dB", 1),
    "sharpness": ("sharpness", 2),
    "contrast": ("contrast", 2),
}


def write_card_page(folder: Path) -> bool:
    """Write the card of the bundle in `folder`; of one that somebody has made theirs, only the scores between their marks.

    Returns whether the scores are in it: without marks such a card stays as it is. Raises UnsuitableModel, UnsuitableOutput.
    """
    path, metadata = folder / PAGE, read_metadata(folder)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if text and _WRITTEN_BY_US not in text:
        marked = re.compile(".*".join(map(re.escape, SCORES_MARKS)), re.DOTALL)
        page, count = marked.subn(lambda _: _scores(metadata["t1t2"]), text)
    else:
        page, count = card_page(folder.name, metadata), 1
    if page != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staged_files() as staging:
            staging.add_text(page, path)
    return count > 0


def card_page(name: str, metadata: Mapping[str, Any]) -> str:
    """The card as Markdown; what the metadata does not say is called not stated."""
    block = metadata["t1t2"]
    training = block.get("training", {})
    parts = [
        f"# Model card: {name}\n\n{_OURS}\n\n{metadata.get('task', metadata['name'])}, with the error to expect of it. "
        f"**{DISCLAIMER}**",
        _facts(metadata, block),
        "## Data\n" + _data(training),
        "## Training\n" + _training(training),
        "## Scores\n" + _scores(block),
        "## Limits\n" + _limits(block),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(metadata: Mapping[str, Any], block: Mapping[str, Any]) -> str:
    rows = {
        "reads": f"{block['source_sequence']} of a head",
        "makes": f"{MARK} {block['target_sequence']} and its predicted error, int16, on the input's grid",
        "unit": block.get("unit", NOT_STATED),
        "network": _network(block),
        "version": metadata.get("version", NOT_STATED),
        "licence of the weights": block.get("licence", NOT_STATED),
    }
    return _table(("", ""), rows.items())


def _network(block: Mapping[str, Any]) -> str:
    network = block.get("training", {}).get("recipe", {}).get("network")
    if not network:
        return NOT_STATED
    return f"{network['preset']}, {network['context_planes']} planes in, widths {', '.join(map(str, network['widths']))}"


def _data(training: Mapping[str, Any]) -> str:
    data = training.get("data", [])
    rows = [
        (one["source"], str(len(one["subjects"])), ", ".join(one["pathologies"]) or NOT_STATED, one["licence"], one["cite"])
        for one in data
    ]
    count = sum(len(one["subjects"]) for one in data)
    text = f"{count} subject{'s' if count != 1 else ''}; each is named in `configs/metadata.json`.\n\n"
    text += _table(("source", "subjects", "pathology", "licence", "cite"), rows)
    base = training.get("started_from")
    if base:
        text += f"\n\nThe weights started from the model {base['name']} {base['version']} (licence: {base['licence']}): "
        text += f"its {len(base['subjects'])} training images, its sources and citations count for this model too."
    return text if data else f"{NOT_STATED.capitalize()}."


def _training(training: Mapping[str, Any]) -> str:
    if "recipe" not in training:
        return f"{NOT_STATED.capitalize()}."
    recipe, held_out = training["recipe"], training.get("held_out", {})
    text = f"Recipe `{recipe['name']}`: {training['steps']} steps of {recipe['batch_size']} patches, "
    text += f"{training['minutes']:g} minutes, on {training.get('hardware', 'hardware that is not stated')}."
    if "aside_minutes" in training:
        text += f" Besides, {training['aside_minutes']:g} minutes went into checkpoints, pictures and scores."
    if held_out:
        errors = ", ".join(f"{name} {value:.4f}" for name, value in held_out.items())
        text += f"\nWatched on subjects held out, mean absolute error of the brain at the end: {errors}."
    return text


def _scores(block: Mapping[str, Any]) -> str:
    """The section on scores between its marks."""
    scores = block["scores"]
    kinds = {name: values for name, values in scores.items() if isinstance(values, Mapping)}
    if not kinds:
        watched = " The few numbers watched during training are no evaluation." if _was_watched(block) else ""
        text = f"**Not evaluated.**{watched} `t1t2 evaluate` judges a model by protocol T2P-1."
    else:
        text = "\n\n".join(filter(None, (_protocol(scores), _table(*score_table(kinds)), _weakness(scores), _calibration(block))))
    return f"\n\n{text}\n\n".join(SCORES_MARKS)


def _was_watched(block: Mapping[str, Any]) -> bool:
    return bool(block.get("training", {}).get("held_out"))


def _protocol(scores: Mapping[str, Any]) -> str:
    return f"Protocol: {scores['protocol']}." if "protocol" in scores else ""


def score_table(kinds: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of the scores by kind of input, as text."""
    names = list(dict.fromkeys(name for values in kinds.values() for name in values))
    rows = [(kind, *(_number(name, values.get(name)) for name in names)) for kind, values in kinds.items()]
    return ("of", *(_COLUMNS.get(name, (name, 3))[0] for name in names)), rows


def _weakness(scores: Mapping[str, Any]) -> str:
    weak = weak_kinds(scores)
    return f"**No better than a look-up table: {', '.join(weak)}.** What it makes there is marked." if weak else ""


def _calibration(block: Mapping[str, Any]) -> str:
    interval = block.get("interval")
    if not interval:
        return ""
    return (
        f"Of the next patient's brain {100 * interval['stated_coverage']:.0f} % is expected within {interval['factor']:.3f} x "
        f"(predicted error + {interval['added']:g}) of the synthetic value, in shares of p99.5; "
        f"calibrated on {interval['subjects']} subjects that the judged model never saw."
    )


def _number(name: str, value: Any) -> str:
    return f"{value:.{_COLUMNS.get(name, (name, 3))[1]}f}" if isinstance(value, (int, float)) else ""


def _limits(block: Mapping[str, Any]) -> str:
    source, target = block["source_sequence"], block["target_sequence"]
    return "\n".join(
        (
            f"- A synthetic {target} is a guess from the {source}: lesions may be missed, invented, or too bright or dark.",
            f"- How bright a patient's {target} would have been depends on the scanner, which the {source} does not tell.",
            "- The predicted error is learnt from the same subjects: it is no bound, and does not notice that an input is "
            "unlike anything seen in training.",
            "- Nothing is known about scanners, ages and diseases that are not among the data above.",
        )
    )


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
