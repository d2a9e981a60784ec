"""`t1t2 train`: from the words of the command line to the materials of a run."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from ..catalog import bundled_models_folder, user_models_folder
from ..errors import UnsuitableOutput, UnsuitableTrainingData
from ..model import Model, load_model
from ..preprocessing import Preprocessing
from ..subjects import SEQUENCES, Subject, with_folds
from ..survey import DATALIST, read_subjects
from .bundle import Manner, Materials, refuse_to_replace, train_bundle
from .dataset import load_pairs, read_label_maps
from .origins import origins_of
from .recipe import Recipe, read_recipe, shipped_recipes
from .sweep import train_sweep
from .team import Team, joined_team
from .validation import Validation

log = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """`t1t2 train RECIPE DATA (-o FOLDER | --name NAME) ...`; returns the exit code."""
    options = _parser().parse_args(arguments)
    with joined_team() as team:
        level = logging.INFO if team.is_first else logging.ERROR
        logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        folder = options.output or _own_folder(options.name)
        manner = Manner(options.device, options.resume, team)
        refuse_to_replace(folder, manner)
        base = load_model(options.base) if options.base else None
        recipe = _recipe(options, base)
        materials = _materials(options, recipe, base, team)
        make = train_sweep if options.sweep else train_bundle
        make(recipe, materials, folder, manner)
        log.info("The model is in %s; t1t2 translate --model takes %s.", folder, options.name or "this folder")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="t1t2 train",
        description="Train a model that t1t2 and the panel can use.",
        epilog="Several GPUs or machines: torchrun --nproc-per-node 2 -m T1T2TranslationLib train RECIPE DATA -o FOLDER",
    )
    parser.add_argument("recipe", type=Path, help=f"a TOML file, or a shipped one: {', '.join(shipped_recipes())}")
    parser.add_argument("data", type=Path, help="a JSON list of subjects, or a folder as BraTS, IXI or BIDS name their files")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--output", type=Path, help="the model's folder, a MONAI bundle")
    place.add_argument("--name", help="instead: a name; the model goes where t1t2 models and the panel find it")
    parser.add_argument("--from", dest="base", metavar="MODEL", help="start from the weights of a model, by name or folder")
    parser.add_argument("--fold", type=int, help="leave the subjects of this fold out, and watch the error of some of them")
    parser.add_argument("--folds", type=int, metavar="K", help="deal the patients into K folds, where the data has none")
    parser.add_argument("--minutes", type=_minutes, help="wall clock instead of the recipe's minutes, steps or epochs")
    parser.add_argument("--sweep", action="store_true", help="one model for each of the recipe's learning rates; needs --fold")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return parser


def _minutes(text: str) -> float:
    minutes = float(text)
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"{text} minutes; more than 0 are needed")
    return minutes


def _own_folder(name: str) -> Path:
    """Where `t1t2 models` finds a model of this name."""
    models = user_models_folder()
    if models is None:
        raise UnsuitableOutput("You have no home folder for your own models.", "Name one in T1T2_MODELS, or give -o FOLDER.")
    if not name.strip() or Path(name).name != name or name == "..":
        raise UnsuitableOutput(f"'{name}' is no name for a model.", "Give a word such as my_t1_to_t2, or -o FOLDER.")
    if (bundled_models_folder() / name).exists():
        raise UnsuitableOutput(f"A model named '{name}' is shipped, and would be found first.", f"Give a name such as my_{name}.")
    return models / name


def _recipe(options: argparse.Namespace, base: Model | None) -> Recipe:
    """The recipe as the command line changes it; a model to start from brings its own network."""
    recipe = read_recipe(options.recipe)
    if recipe.continues and base is None:
        raise UnsuitableTrainingData(f"The recipe '{recipe.name}' goes on from a model.", "Name one, such as --from t1_to_t2.")
    if options.sweep and not recipe.sweep.learning_rates:
        raise UnsuitableTrainingData(f"The recipe '{options.recipe.name}' has no sweep.", "Name its learning_rates in [sweep].")
    if options.sweep and options.fold is None:
        raise UnsuitableTrainingData("A sweep keeps the best on patients held out.", "Hold some out with --fold.")
    if options.minutes:
        recipe = recipe.by_the_clock(options.minutes)
    if base is None:
        return recipe
    if recipe.network != base.network.config:
        log.info("The network is that of the model '%s'; the recipe's is not used.", base.card.name)
    now, before = (SEQUENCES[recipe.source], SEQUENCES[recipe.target]), (base.card.source, base.card.target)
    if now != before:
        log.warning("A model of %s to %s is the start for one of %s to %s.", *before, *now)
        recipe = dataclasses.replace(recipe, start_share=0.0)  # another image's weights are no opinion on this one
    return dataclasses.replace(recipe, network=base.network.config)


def _materials(options: argparse.Namespace, recipe: Recipe, base: Model | None, team: Team) -> Materials:
    """Read what is trained on and, for the first of the team, what is watched."""
    preprocessing = base.preprocessing if base else Preprocessing(context_planes=recipe.network.context_planes)
    subjects = read_subjects(options.data, recipe.source, recipe.target)
    if options.folds:
        subjects = with_folds(subjects, options.folds)
    datalist = options.data / DATALIST if options.data.is_dir() else options.data
    kept, held_out = _split(subjects, options.fold)
    pairs = load_pairs(kept, recipe, preprocessing)
    learnt_from = {pair.id.removesuffix(" stripped") for pair in pairs}
    validation = None
    if held_out and team.is_first:
        count = len(held_out) if options.sweep else recipe.validation_subjects
        validation = Validation(held_out, recipe, preprocessing, options.device, count)
        if options.sweep and not validation.cases:
            raise UnsuitableTrainingData("No patient of the fold held out can be scored.", "See the reasons above.")
    return Materials(
        pairs=pairs,
        preprocessing=preprocessing,
        label_maps=read_label_maps(datalist, preprocessing) if recipe.painted_share and datalist.exists() else (),
        base=base,
        validation=validation,
        origins=origins_of(subject for subject in kept if subject.id in learnt_from),
    )


def _split(subjects: Sequence[Subject], fold: int | None) -> tuple[list[Subject], list[Subject]]:
    """Those to learn from, and those held out. Raises UnsuitableTrainingData for a fold that nobody is in."""
    held_out = [subject for subject in subjects if fold is not None and subject.fold == fold]
    if fold is not None and not held_out:
        folds = ", ".join(sorted({str(subject.fold) for subject in subjects if subject.fold is not None})) or "none"
        raise UnsuitableTrainingData(f"No subject is in fold {fold}; the folds are {folds}.", "See the data list.")
    return [subject for subject in subjects if fold is None or subject.fold != fold], held_out
