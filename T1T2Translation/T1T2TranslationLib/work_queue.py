"""`WorkQueue`: volumes waiting for the same work one after another, what became of each, and what may still be done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """What has become of an item."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DONE_BEFORE = "done before"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OPEN = {State.WAITING, State.RUNNING}
_CAN_BE_RETRIED = {State.REFUSED, State.FAILED, State.CANCELLED}


@dataclass
class Item:
    """One volume. source: what finds it again (a path, a node's ID). note: what to tell of it."""

    source: str
    name: str
    state: State = State.WAITING
    note: str = ""


class WorkQueue:
    """At most one item runs; the others wait in the order in which they came."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.is_paused = False

    def add(self, items: Iterable[Item]) -> None:
        """Append those that are not in the queue yet."""
        known = {item.source for item in self.items}
        for item in items:
            if item.source not in known:
                known.add(item.source)
                self.items.append(item)

    @property
    def running(self) -> Item | None:
        return next((item for item in self.items if item.state is State.RUNNING), None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing would run next."""
        return self.running is None and (self.is_paused or not self.waiting)

    @property
    def waiting(self) -> list[Item]:
        return [item for item in self.items if item.state is State.WAITING]

    @property
    def ended(self) -> int:
        """How many items neither wait nor run."""
        return sum(item.state not in _OPEN for item in self.items)

    @property
    def can_retry(self) -> bool:
        """Whether anything came to nothing and may be tried again."""
        return any(item.state in _CAN_BE_RETRIED for item in self.items)

    def start_next(self) -> Item | None:
        """The next item, now running; None while one runs, in a pause, or when all is done."""
        if self.running is not None or self.is_paused or not self.waiting:
            return None
        item = self.waiting[0]
        item.state, item.note = State.RUNNING, ""
        return item

    def finish(self, item: Item, state: State, note: str = "") -> None:
        """What became of an item, if it is still running: one cancelled meanwhile stays cancelled."""
        if item.state is State.RUNNING:
            item.state, item.note = state, note

    def cancel(self, item: Item) -> None:
        """Take an item back that waits or runs."""
        if item.state in _OPEN:
            item.state, item.note = State.CANCELLED, ""

    def retry(self, items: Iterable[Item]) -> None:
        """Let items wait again that came to nothing."""
        for item in items:
            if item.state in _CAN_BE_RETRIED:
                item.state, item.note = State.WAITING, ""

    def clear(self) -> None:
        """Forget all that is neither waiting nor running."""
        self.items = [item for item in self.items if item.state in _OPEN]

    def summary(self) -> dict[State, int]:
        """How many items are in each state that occurs."""
        return {state: count for state in State if (count := sum(item.state is state for item in self.items))}
