"""The processes that train one model together: started by torchrun, or just this one.

```
torchrun --nproc-per-node 2 -m T1T2TranslationLib train RECIPE DATA -o FOLDER
```
Each draws samples of its own; gradients are averaged (`DistributedDataParallel`), so that all hold the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..device import Device


@dataclass(frozen=True)
class Team:
    """rank: this process's number; size: how many there are; local_rank: its number on this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and logs; exactly one does."""
        return self.rank == 0

    def device_name(self, requested: str) -> str:
        """Of several graphics cards on a machine each process takes its own."""
        has_own = self.size > 1 and requested in ("auto", "cuda") and torch.cuda.is_available()
        return f"cuda:{self.local_rank}" if has_own else requested

    def averaging(self, network: nn.Module, device: Device) -> nn.Module:
        """`network` with gradients that are the mean over the team; all start from the first's weights."""
        if self.size == 1:
            return network
        cards = [device.torch_device] if device.torch_device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=cards)

    def firsts(self, value: Any) -> Any:
        """The first process's `value`, for all."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def any(self, is_so: bool) -> bool:
        """Whether it is so in any process of the team."""
        if self.size == 1:
            return is_so
        flag = torch.tensor(float(is_so))
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def gathered(self, items: Sequence[str]) -> list[str]:
        """Every process's items, in the order of the ranks; all processes get them."""
        if self.size == 1:
            return list(items)
        boxes: list[Any] = [None] * self.size
        distributed.all_gather_object(boxes, list(items))
        return [item for box in boxes for item in box]


ALONE = Team()


@contextmanager
def joined_team() -> Iterator[Team]:
    """The team that torchrun started this process in; left together, once all are done."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    team = Team(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    if torch.cuda.is_available():
        torch.cuda.set_device(team.local_rank % torch.cuda.device_count())
    # gloo also beside nccl: clocks and states are shared on the CPU.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield team
        distributed.barrier()  # without it the first to leave can make the others abort
    finally:
        distributed.destroy_process_group()
