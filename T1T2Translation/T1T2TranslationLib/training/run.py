"""A run: network, optimiser and clock of one training, from its first step or its last checkpoint to its end."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..device import Device
from ..errors import UnsuitableOutput, UnsuitableTrainingData
from ..model import UNREADABLE, Model
from ..network import TranslationNetwork
from .batches import Batch, Batches
from .checkpoint import read_checkpoint, unfit, write_checkpoint
from .dataset import Sampler
from .hardware import autocast, choose_hardware, plain_memory_errors
from .losses import combined_loss
from .recipe import Recipe
from .team import ALONE, Team

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
_WARM_UP_SHARE = 0.03  # of the run, with a rising learning rate
_LARGEST_GRADIENT = 1.0  # norm; longer ones are shortened to it
_NAMES_SAID = 8
_DRAWING_THREADS = 4


class Run:
    """One training. `average` is what is kept; `seconds` is the time in steps, `aside_seconds` that of all else.

    start: the model whose weights it begins with, a copy is taken; without one they are drawn from the recipe's seed.
    roots: the subjects it learns from and the weights it begins with; they stay the same from its first step to its last.
    """

    def __init__(
        self,
        recipe: Recipe,
        sampler: Sampler,
        checkpoint: Path,
        *,
        start: Model | None = None,
        device: str = "auto",
        team: Team = ALONE,
    ):
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.checkpoint = checkpoint
        self.team = team
        self.roots = {
            "subjects": sorted({pair.id for pair in sampler.pairs}),
            "start": f"the model '{start.card.name}' (weights {start.card.sha256[:12]})" if start else "random weights",
        }
        self.network = copy.deepcopy(start.network).train() if start else TranslationNetwork(**recipe.network.as_arguments())
        self.device: Device = choose_hardware(team.device_name(device), self.network)
        threads = 0 if self.device.torch_device.type == "cpu" else _DRAWING_THREADS  # a CPU has its hands full
        self.batches = Batches(sampler, recipe.seed, team.rank, threads)
        with plain_memory_errors(recipe, self.device):
            self.network.to(self.device.torch_device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.average = copy.deepcopy(self.network).eval()
            self.together = team.averaging(self.network, self.device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self.steps = 0
        self.seconds = 0.0
        self.aside_seconds = 0.0

    @property
    def share_done(self) -> float:
        """Of the recipe's steps or wall clock, 0 to 1."""
        if self.recipe.planned_steps:
            return min(1.0, self.steps / self.recipe.planned_steps)
        return min(1.0, self.seconds / (60 * self.recipe.minutes))

    @property
    def seconds_left(self) -> float:
        """Of training, at the pace until now; infinite before the first step."""
        return self.seconds * (1 / self.share_done - 1) if self.share_done else math.inf

    @property
    def learning_rate(self) -> float:
        """Of the next step: a short linear rise, then half a cosine down to nothing."""
        return self.recipe.learning_rate * _cosine(self.share_done)

    def finish(self, watch: Callable[[Run, Mapping[str, float]], None] = lambda run, terms: None) -> None:
        """Step until the end, writing a checkpoint now and then; `watch` is called after each step, on its own time."""
        saved = self.seconds
        try:
            while self.share_done < 1.0:
                start = time.monotonic()
                terms = self.step()
                stepped = time.monotonic()
                self.seconds = self.team.firsts(self.seconds + stepped - start)
                watch(self, terms)
                if self.seconds - saved > 60 * self.recipe.checkpoint_minutes:
                    saved = self.seconds
                    self.save()
                self.aside_seconds += time.monotonic() - stepped
        finally:
            self.batches.close()
        self.save()

    def step(self) -> dict[str, float]:
        """One batch; returns the losses' terms. Raises UnsuitableTrainingData where the loss is no number, DeviceFailure."""
        recipe = self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate
        painted_share = recipe.painted_share * max(0.0, 1 - self.share_done / recipe.painting_ends)
        with plain_memory_errors(recipe, self.device):
            batch = self.batches.draw(self.steps, painted_share).on(self.device)
            with autocast(self.device):
                output = self.together(batch.planes)
            value, log_scale = output.split(1, dim=1)
            loss, terms = combined_loss(value, log_scale, batch.target, batch.weight, recipe.losses)
            self.optimiser.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
            if self.team.any(not math.isfinite(float(loss.detach()) + float(norm))):
                raise self._nonsense(batch, output.detach())
            self.optimiser.step()
        self.steps += 1
        self._follow()
        return terms

    def _nonsense(self, batch: Batch, output: Tensor) -> UnsuitableTrainingData:
        """The error that ends a run before a step spoils its weights; it names the samples it comes from.

        Gradients are shared, so that all of the team meet it at once: the samples may be another process's.
        """
        images = torch.cat([batch.planes, batch.target, output], dim=1)
        is_bad = (~torch.isfinite(images).flatten(1).all(dim=1)).tolist()
        bad_names = [name for name, bad in zip(batch.names, is_bad, strict=True) if bad]
        names = self.team.gathered(bad_names) or self.team.gathered(batch.names)
        return UnsuitableTrainingData(
            f"The loss is not a number at step {self.steps}, with {_some(names)}.",
            "Look at these images, or lower the learning rate; with --resume the run goes on from its last checkpoint.",
        )

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.recipe.average_decay, (1 + self.steps) / (10 + self.steps))
        for kept, current in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(current, 1 - decay)

    @torch.no_grad()
    def mix_in(self, start: TranslationNetwork) -> None:
        """Take the recipe's `start_share` of the weights begun from into those that are kept (Wortsman et al. 2022)."""
        for kept, before in zip(self.average.parameters(), start.parameters(), strict=True):
            kept.lerp_(before.to(kept.device), self.recipe.start_share)

    def save(self) -> None:
        """The whole state into the checkpoint, by the first of the team. Raises UnsuitableOutput where the disk is full."""
        if not self.team.is_first:
            return
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": _plain(self.recipe),
            "roots": self.roots,
            "steps": self.steps,
            "seconds": self.seconds,
            "aside_seconds": self.aside_seconds,
        }
        write_checkpoint(self.checkpoint, state)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises UnsuitableTrainingData if it does not fit, UnsuitableOutput if it has other roots.
        """
        is_there = self.team.is_first and self.checkpoint.exists()
        state: dict[str, Any] | None = self.team.firsts(read_checkpoint(self.checkpoint) if is_there else None)
        if state is None:
            return
        try:
            self._refuse_other_roots(state.get("roots", self.roots))
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.steps, self.seconds = state["steps"], state["seconds"]
            self.aside_seconds = state.get("aside_seconds", 0.0)
        except UNREADABLE as error:
            raise unfit(self.checkpoint) from error
        for name, (before, now) in _changes(state.get("recipe", {}), _plain(self.recipe)).items():
            log.warning("The recipe has changed since the checkpoint: %s was %s, is %s.", name, before, now)

    def _refuse_other_roots(self, then: Mapping[str, Any]) -> None:
        """Raise UnsuitableOutput where the card would call patients held out that the checkpoint knows, or hide its start.

        No UnsuitableTrainingData, which costs a sweep one of its models: this ends it.
        """
        what, now = f"The training in '{self.checkpoint.parent}'", self.roots
        remedy = "Go on with the data, --fold and --from that it began with, or give another folder."
        if then["start"] != now["start"]:
            raise UnsuitableOutput(f"{what} began with {then['start']}, this one with {now['start']}.", remedy)
        lost, new = (sorted(set(a["subjects"]) - set(b["subjects"])) for a, b in ((then, now), (now, then)))
        if lost or new:
            found = f"then and not now: {_some(lost)}; now and not then: {_some(new)}"
            raise UnsuitableOutput(f"{what} learnt from other subjects ({found}).", remedy)


def _some(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - _NAMES_SAID} more" if len(names) > _NAMES_SAID else ""
    return f"{', '.join(names[:_NAMES_SAID])}{more}" or "none"


def _plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, which a checkpoint may hold."""
    return dataclasses.asdict(recipe)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before[name], now[name]) for name in before.keys() & now.keys() if before[name] != now[name]}


def _cosine(share: float) -> float:
    """Learning rate over its maximum."""
    if share < _WARM_UP_SHARE:
        return (share + 1e-3) / _WARM_UP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP_SHARE) / (1 - _WARM_UP_SHARE)))
