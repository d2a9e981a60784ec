"""What a trained model says of itself to people: docs/README.md of its bundle, written from the metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..catalog import read_metadata
from ..translation import DISCLAIMER, MARK
from .origins import NOT_STATED

PAGE = "docs/README.md"
_OURS = "<!-- Written by t1t2 train; remove this line before you edit, and it is not written again. -->"


def write_card_page(folder: Path) -> None:
    """Write the card of the bundle in `folder`, unless somebody has made it theirs."""
    path = folder / PAGE
    if path.exists() and _OURS not in path.read_text(encoding="utf-8"):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(card_page(folder.name, read_metadata(folder)), encoding="utf-8")


def card_page(name: str, metadata: Mapping[str, Any]) -> str:
    """The card as Markdown; what the metadata does not say is called not stated."""
    block = metadata["t1t2"]
    training = block["training"]
    parts = [
        f"# Model card: {name}\n\n{_OURS}\n\n{metadata['task']}, with the error to expect of it. **{DISCLAIMER}**",
        _facts(metadata, block),
        "## Data\n" + _data(training),
        "## Training\n" + _training(training),
        "## Scores\n" + _scores(block["scores"], training),
        "## Limits\n" + _limits(block),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(metadata: Mapping[str, Any], block: Mapping[str, Any]) -> str:
    network = block["training"]["recipe"]["network"]
    rows = {
        "reads": f"{block['source_sequence']} of a head",
        "makes": f"{MARK} {block['target_sequence']} and its predicted error, int16, on the input's grid",
        "unit": block["unit"],
        "network": f"{network['preset']}, {network['context_planes']} planes in, widths {', '.join(map(str, network['widths']))}",
        "version": metadata["version"],
        "licence of the weights": block["licence"],
    }
    return _table(("", ""), rows.items())


def _data(training: Mapping[str, Any]) -> str:
    rows = [
        (one["source"], str(len(one["subjects"])), ", ".join(one["pathologies"]) or NOT_STATED, one["licence"], one["cite"])
        for one in training["data"]
    ]
    count = sum(len(one["subjects"]) for one in training["data"])
    text = f"{count} subject{'s' if count != 1 else ''}; each is named in `configs/metadata.json`.\n\n"
    text += _table(("source", "subjects", "pathology", "licence", "cite"), rows)
    base = training.get("started_from")
    if base:
        text += f"\n\nThe weights started from the model {base['name']} {base['version']} (licence: {base['licence']}): "
        text += f"its {len(base['subjects'])} training images, its sources and citations count for this model too."
    return text


def _training(training: Mapping[str, Any]) -> str:
    recipe, held_out = training["recipe"], training.get("held_out", {})
    text = (
        f"Recipe `{recipe['name']}`: {training['steps']} steps of {recipe['batch_size']} patches, "
        f"{training['minutes']:g} minutes, on {training['hardware']}. "
        f"Besides, {training['aside_minutes']:g} minutes went into checkpoints, pictures and scores."
    )
    if held_out:
        errors = ", ".join(f"{name} {value:.4f}" for name, value in held_out.items())
        text += f"\nWatched on subjects held out, mean absolute error of the brain at the end: {errors}."
    return text


def _scores(scores: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    if not scores:
        watched = " The few numbers watched during training are no evaluation." if training.get("held_out") else ""
        return f"**Not evaluated.**{watched} `t1t2 evaluate` judges a model by protocol T2P-1."
    text = f"Protocol: {scores['protocol']}.\n\n" if "protocol" in scores else ""
    regions = {name: values for name, values in scores.items() if isinstance(values, Mapping)}
    names = list(dict.fromkeys(name for values in regions.values() for name in values))
    rows = [(region, *(_number(values.get(name)) for name in names)) for region, values in regions.items()]
    return text + _table(("region", *names), rows)


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else ""


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
