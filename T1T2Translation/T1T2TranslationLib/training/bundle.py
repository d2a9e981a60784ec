"""One run from its materials to a bundle on disk, which `t1t2 translate`, the panel and `t1t2 evaluate` take."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..card_page import write_card_page
from ..catalog import METADATA, WEIGHTS, read_metadata
from ..errors import UnsuitableOutput, UnsuitableTrainingData
from ..model import INFERENCE, Model, save_model
from ..preprocessing import Preprocessing
from .card import metadata_of
from .checkpoint import plain_disk_errors
from .dataset import Pair, Sampler
from .origins import Origin
from .recipe import Recipe
from .run import CHECKPOINT, Run
from .synthesis import LabelPlanes
from .team import ALONE, Team
from .validation import Validation
from .watch import Watch

if TYPE_CHECKING:
    from .journal import Journal

log = logging.getLogger(__name__)

_STAGED = ".partial"


@dataclass(frozen=True, eq=False)
class Materials:
    """What a run is made from; read once, also where a sweep makes several.

    base: the model to start from; without one the weights are drawn.
    validation: scores on patients held out. origins: what the card says of the data.
    """

    pairs: Sequence[Pair]
    preprocessing: Preprocessing
    label_maps: Sequence[LabelPlanes] = ()
    base: Model | None = None
    validation: Validation | None = None
    origins: Sequence[Origin] = ()


@dataclass(frozen=True)
class Manner:
    """How a run is made: on which device, from its last checkpoint or anew, by which team of processes."""

    device: str = "auto"
    resume: bool = False
    team: Team = ALONE


def refuse_to_replace(folder: Path, manner: Manner) -> None:
    """Raise UnsuitableOutput where a new run would destroy an old one's work."""
    if manner.resume:
        return
    if (folder / WEIGHTS).exists():
        raise UnsuitableOutput(f"'{folder}' holds a trained model already.", "Give another folder, or remove that one first.")
    if (folder / CHECKPOINT).exists() and manner.team.is_first:
        raise UnsuitableOutput(f"'{folder}' holds a training that is not finished.", "Go on with --resume, or remove it first.")


def train_bundle(recipe: Recipe, materials: Materials, folder: Path, manner: Manner) -> None:
    """Train until the recipe's end, then write the bundle `folder`; until that is whole the checkpoint stays.

    Raises UnsuitableTrainingData, UnsuitableOutput or DeviceFailure; the last good checkpoint is then left.
    """
    _refuse_to_paint_from_nothing(recipe, materials)
    sampler = Sampler(materials.pairs, recipe, recipe.seed, materials.label_maps)
    run = Run(recipe, sampler, folder / CHECKPOINT, start=materials.base, device=manner.device, team=manner.team)
    if manner.resume:
        run.resume()
        if not run.steps:
            log.warning("There is nothing to resume in '%s': the training starts from its beginning.", folder)
    log.info("%s", _beginning(run, materials))
    if not manner.team.is_first:
        run.finish()
        return
    watch = Watch(_journal(folder, materials, recipe), materials.validation)
    run.finish(watch)
    if materials.base:
        run.mix_in(materials.base.network)
    watch.end(run)
    _write(folder, run, materials)
    log.info("%s", _end(run))


def _refuse_to_paint_from_nothing(recipe: Recipe, materials: Materials) -> None:
    """Raise UnsuitableTrainingData where the recipe paints samples and the data brought no label maps."""
    if recipe.painted_share and not materials.label_maps:
        raise UnsuitableTrainingData(
            f"The recipe paints {100 * recipe.painted_share:g} % of its first samples, and the data has no label maps.",
            'Name some in the data list under "labels", or set painted_share to 0.',
        )


def _journal(folder: Path, materials: Materials, recipe: Recipe) -> Journal | None:
    """The journal of a recipe with pictures; only then is what draws them loaded."""
    if not recipe.picture_minutes:
        return None
    from .journal import Journal

    return Journal(folder, materials.pairs, recipe)


def _write(folder: Path, run: Run, materials: Materials) -> None:
    """Made beside its place and moved there, so that a bundle is never half old and half new for long."""
    staged = folder / _STAGED
    with plain_disk_errors(folder / WEIGHTS, run.checkpoint):
        save_model(staged, run.average.cpu(), materials.preprocessing, metadata_of(run.recipe, _facts(run, materials)))
        for part in (INFERENCE, METADATA, WEIGHTS):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged / part, folder / part)
            if not any((staged / part).parent.iterdir()):
                (staged / part).parent.rmdir()
        staged.rmdir()
        write_card_page(folder)
    run.checkpoint.unlink(missing_ok=True)


def _facts(run: Run, materials: Materials) -> dict[str, Any]:
    """What the metadata says of the training besides its recipe."""
    base = _base_facts(materials.base) if materials.base else None
    held_out = materials.validation.last if materials.validation else {}
    return {
        "subjects": list(dict.fromkeys([*(base["subjects"] if base else ()), *(pair.id for pair in materials.pairs)])),
        "data": [dataclasses.asdict(origin) for origin in materials.origins],
        "steps": run.steps,
        "minutes": round(run.seconds / 60, 2),
        "aside_minutes": round(run.aside_seconds / 60, 2),
        "hardware": _hardware(run),
        **({"held_out": {name: round(value, 4) for name, value in held_out.items()}} if held_out else {}),
        **({"started_from": base} if base else {}),
    }


def _base_facts(base: Model) -> dict[str, Any]:
    card = base.card
    training = read_metadata(card.folder)["t1t2"].get("training", {})
    facts = {"name": card.name, "version": card.version, "sha256": card.sha256, "licence": card.licence or "not stated"}
    return facts | {"subjects": list(training.get("subjects", ()))}


def _hardware(run: Run) -> str:
    name = run.device.label
    if name == "cpu":
        count = torch.get_num_threads()
        name = f"a CPU ({platform.machine()}, {count} thread{'s' if count > 1 else ''})"
    return f"{f'{run.team.size} processes, each on ' if run.team.size > 1 else ''}{name}, {run.device.precision}"


def _beginning(run: Run, materials: Materials) -> str:
    planned = f"{run.recipe.planned_steps} steps" if run.recipe.planned_steps else f"{run.recipe.minutes:g} minutes"
    held_out = len(materials.validation.cases) if materials.validation else 0
    return (
        f"{len(materials.pairs)} images, {len(materials.label_maps)} label maps, {held_out} held out to watch; "
        f"{planned} on {_hardware(run)}; {100 * run.share_done:.1f} % done. {run.device.reason}".strip()
    )


def _end(run: Run) -> str:
    return (
        f"{run.steps} steps in {run.seconds / 60:.1f} minutes of training; "
        f"checkpoints, pictures and scores took {run.aside_seconds / 60:.1f} minutes besides."
    )
