"""Train one recipe on one data list: reads in the order in which things happen."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..catalog import WEIGHTS
from ..errors import UnsuitableOutput, UnsuitableTrainingData
from ..model import UNREADABLE, save_model
from ..network import TranslationNetwork
from ..preprocessing import Preprocessing
from ..subjects import Subject, read_datalist
from .card import metadata_of
from .dataset import Sampler, load_pairs, read_label_maps
from .losses import combined_loss
from .recipe import Recipe, read_recipe
from .synthesis import LabelPlanes

log = logging.getLogger(__name__)

_LOG_EVERY_STEPS = 50
_WARM_UP_SHARE = 0.03  # of the run, with a rising learning rate


def main(arguments: Sequence[str]) -> int:
    """`t1t2 train RECIPE DATALIST -o FOLDER [--fold N] [--minutes M] [--resume]`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="t1t2 train", description="Train a model that t1t2 and the panel can use.")
    parser.add_argument("recipe", type=Path, help="a TOML file; see training/recipes")
    parser.add_argument("datalist", type=Path, help="a JSON list of subjects and their images")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model's folder, a MONAI bundle")
    parser.add_argument("--fold", type=int, help="leave the subjects of this fold out")
    parser.add_argument("--minutes", type=float, help="wall clock instead of the recipe's")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    _refuse_to_replace(options.output, options.resume)
    recipe = read_recipe(options.recipe)
    if options.minutes:
        recipe = dataclasses.replace(recipe, minutes=options.minutes)
    subjects = read_datalist(options.datalist, recipe.source, recipe.target)
    kept = [subject for subject in subjects if options.fold is None or subject.fold != options.fold]
    label_maps = read_label_maps(options.datalist, _preprocessing(recipe)) if recipe.painted_share else []
    train(recipe, kept, options.output, label_maps, resume=options.resume)
    log.info("The model is in %s; t1t2 translate --model takes this folder.", options.output)
    return 0


def _refuse_to_replace(folder: Path, is_resumed: bool) -> None:
    if not is_resumed and (folder / WEIGHTS).exists():
        raise UnsuitableOutput(f"'{folder}' holds a trained model already.", "Give another folder, or remove that one first.")


def train(
    recipe: Recipe, subjects: Sequence[Subject], folder: Path, label_maps: Sequence[LabelPlanes] = (), resume: bool = False
) -> None:
    """Train on `subjects` and `label_maps` until the recipe's time is over, then write the bundle `folder`.

    Raises UnsuitableTrainingData if no subject can be used or the loss stops being a number.
    """
    preprocessing = _preprocessing(recipe)
    pairs = load_pairs(subjects, recipe, preprocessing)
    run = Run(recipe, Sampler(pairs, recipe, recipe.seed, label_maps), folder / "checkpoint.pt")
    if resume:
        run.resume()
    log.info("%d pairs and %d label maps, %.1f minutes to go", len(pairs), len(label_maps), recipe.minutes - run.seconds / 60)
    run.finish()
    names = [pair.id for pair in pairs]
    metadata = metadata_of(recipe, names, run.steps, run.seconds)
    save_model(folder, run.average, preprocessing, metadata)
    run.checkpoint.unlink(missing_ok=True)


def _preprocessing(recipe: Recipe) -> Preprocessing:
    return Preprocessing(context_planes=recipe.network.context_planes)


class Run:
    """Network, optimiser and clock of one training; `average` is what is kept."""

    def __init__(self, recipe: Recipe, sampler: Sampler, checkpoint: Path):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.sampler = sampler
        self.checkpoint = checkpoint
        self.network = TranslationNetwork(**recipe.network.as_arguments())
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent from torch's stubs
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.steps = 0
        self.seconds = 0.0

    @property
    def share_done(self) -> float:
        """Of the recipe's wall clock, 0 to 1."""
        return min(1.0, self.seconds / (60 * self.recipe.minutes))

    def finish(self) -> None:
        """Step until the time is over, writing a checkpoint now and then."""
        saved = self.seconds
        while self.share_done < 1.0:
            start = time.monotonic()
            terms = self.step()
            self.seconds += time.monotonic() - start
            if self.steps % _LOG_EVERY_STEPS == 0:
                text = "  ".join(f"{name} {value:.4f}" for name, value in terms.items())
                log.info("%5.1f %%  step %d  %s", 100 * self.share_done, self.steps, text)
            if self.seconds - saved > 60 * self.recipe.checkpoint_minutes:
                saved = self.seconds
                self.save()

    def step(self) -> dict[str, float]:
        """One batch; returns the losses' terms."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * _cosine(self.share_done)
        self.sampler.painted_share = self.recipe.painted_share * max(0.0, 1 - self.share_done / self.recipe.painting_ends)
        planes, target, weight = self.sampler.batch()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value, log_scale = self.network(planes.to(memory_format=torch.channels_last)).split(1, dim=1)
        loss, terms = combined_loss(value, log_scale, target, weight, self.recipe.losses)
        if not math.isfinite(float(loss.detach())):
            raise UnsuitableTrainingData(f"The loss is not a number at step {self.steps}.", "Lower the learning rate.")
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.steps += 1
        self._follow()
        return terms

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.recipe.average_decay, (1 + self.steps) / (10 + self.steps))
        for kept, current in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(current, 1 - decay)

    def save(self) -> None:
        """The whole state into the checkpoint, by atomic rename."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "sampler": self.sampler.state(),
            "steps": self.steps,
            "seconds": self.seconds,
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. Raises UnsuitableTrainingData if it does not fit."""
        if not self.checkpoint.exists():
            return
        try:
            state: dict[str, Any] = torch.load(self.checkpoint, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.sampler.restore(state["sampler"])
            self.steps, self.seconds = state["steps"], state["seconds"]
        except UNREADABLE as error:
            raise UnsuitableTrainingData(
                f"The checkpoint '{self.checkpoint}' is damaged or belongs to another recipe.", "Remove it, or use its recipe."
            ) from error


def _cosine(share: float) -> float:
    """Learning rate over its maximum: a short linear rise, then half a cosine down to nothing."""
    if share < _WARM_UP_SHARE:
        return (share + 1e-3) / _WARM_UP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP_SHARE) / (1 - _WARM_UP_SHARE)))
