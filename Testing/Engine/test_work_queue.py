"""The queue of a batch: one at a time, in order; paused, cancelled, tried again."""

from __future__ import annotations

import pytest
from T1T2TranslationLib.work_queue import Item, State, WorkQueue


@pytest.fixture
def queue():
    """Three volumes waiting."""
    queue = WorkQueue()
    queue.add([Item(letter, letter.upper()) for letter in "abc"])
    return queue


def states(queue) -> str:
    return " ".join(item.state.value for item in queue.items)


def test_one_runs_at_a_time_in_the_order_of_arrival(queue):
    first = queue.start_next()
    assert first.source == "a"
    assert queue.start_next() is None
    queue.finish(first, State.DONE, "fine")
    assert queue.start_next().source == "b"
    assert states(queue) == "done running waiting"
    assert first.note == "fine"


def test_nothing_is_queued_twice(queue):
    queue.add([Item("b", "again"), Item("d", "D"), Item("d", "twice")])
    assert [item.source for item in queue.items] == list("abcd")


def test_a_pause_lets_the_running_one_end_and_starts_no_other(queue):
    first = queue.start_next()
    queue.is_paused = True
    assert not queue.is_idle
    queue.finish(first, State.DONE)
    assert queue.is_idle
    assert queue.start_next() is None
    queue.is_paused = False
    assert queue.start_next().source == "b"


def test_what_was_cancelled_meanwhile_stays_cancelled(queue):
    first = queue.start_next()
    for item in queue.items:
        queue.cancel(item)
    queue.finish(first, State.DONE)
    assert states(queue) == "cancelled cancelled cancelled"
    assert queue.is_idle


def test_only_what_came_to_nothing_is_tried_again(queue):
    for state in (State.DONE, State.REFUSED, State.FAILED):
        queue.finish(queue.start_next(), state, "why")
    queue.retry(queue.items)
    assert states(queue) == "done waiting waiting"
    assert [item.note for item in queue.items] == ["why", "", ""]
    assert not queue.can_retry


def test_what_neither_waits_nor_runs_has_ended(queue):
    queue.finish(queue.start_next(), State.REFUSED)
    queue.start_next()
    assert queue.ended == 1
    assert queue.can_retry


def test_what_ended_can_be_forgotten(queue):
    queue.finish(queue.start_next(), State.DONE)
    queue.start_next()
    queue.clear()
    assert states(queue) == "running waiting"
    assert queue.summary() == {State.RUNNING: 1, State.WAITING: 1}
