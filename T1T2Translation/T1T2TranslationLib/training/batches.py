"""The batches of a run, each a function of seed, process and step: they can be drawn anew, ahead, and by several threads."""

from __future__ import annotations

import copy
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..device import Device
from .dataset import Sampler


class Batch(NamedTuple):
    """planes (N, context, size, size), target and weight (N, 1, size, size) float32; names: where each sample comes from."""

    planes: Tensor
    target: Tensor
    weight: Tensor
    names: tuple[str, ...]

    def on(self, device: Device) -> Batch:
        """The same on a device, the planes in the memory order in which its convolutions are quickest."""
        place = device.torch_device
        planes = self.planes.to(place, memory_format=torch.channels_last, non_blocking=True)
        return Batch(planes, self.target.to(place, non_blocking=True), self.weight.to(place, non_blocking=True), self.names)


class Batches:
    """Batch number n of a run is the same whenever it is drawn, so that a resumed run goes on as if nothing had happened.

    seed: of the run; rank: of the process in its team, each draws its own.
    threads: that draw ahead while a graphics card computes; 0 draws when asked.
    """

    def __init__(self, sampler: Sampler, seed: int, rank: int = 0, threads: int = 0):
        self.sampler = sampler
        self.seed = seed
        self.rank = rank
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads, "draws ahead") if threads else None
        self._ahead: dict[int, Future[Batch]] = {}

    def draw(self, step: int, painted_share: float) -> Batch:
        """The batch of one step; those drawn ahead take the `painted_share` of the moment."""
        if self._pool is None:
            return self._batch(step, painted_share)
        for number in range(step, step + 2 * self.threads):
            if number not in self._ahead:
                self._ahead[number] = self._pool.submit(self._batch, number, painted_share)
        return self._ahead.pop(step).result()

    def close(self) -> None:
        """Draw no more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _batch(self, step: int, painted_share: float) -> Batch:
        numbers = np.random.SeedSequence((self.seed, self.rank, step))
        sampler = copy.copy(self.sampler)
        sampler.random = np.random.default_rng(numbers)
        sampler.generator = torch.Generator().manual_seed(int(numbers.generate_state(1, np.uint64)[0] >> np.uint64(1)))
        sampler.painted_share = painted_share
        return Batch(*sampler.batch(), tuple(sampler.drawn))
