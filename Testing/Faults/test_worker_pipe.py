"""Spoilt requests reach a worker by the hundred: it answers in whole messages, touches nothing, and does the next job."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from givens import a_head, save_untrained_model
from T1T2TranslationLib import protocol
from T1T2TranslationLib.job import Job
from test_worker import PATIENCE_S, WorkerInTest

SPOILT = 300
_VALUES = (None, True, -1, 1e999, "", "/etc/passwd", "../../x.npy", [], {}, [[1, 2], 3], "\0", "x" * 100_000)


@pytest.fixture
def worker() -> Iterator[WorkerInTest]:
    worker = WorkerInTest()
    yield worker
    worker.process.kill()
    worker.wait()


def spoilt(request: dict, random: np.random.Generator) -> bytes:
    """One line that was a request: with other values or fewer, cut, or with other bits."""
    request = json.loads(protocol.encode(request))
    way = random.integers(4)
    if way < 2:
        place = request if way else request["input"]
        key = sorted(place)[random.integers(len(place))]
        place[key] = _VALUES[random.integers(len(_VALUES))]
        if random.random() < 0.2:
            del place[key]
    line = bytearray(json.dumps(request).encode())
    if way == 2:
        line = line[: random.integers(len(line))]
    elif way == 3:
        for position in random.integers(0, len(line), random.integers(1, 6)):
            line[position] ^= 1 << random.integers(8)
    return bytes(line).replace(b"\n", b" ") + b"\n"


@pytest.mark.faults("garbage on the pipe", SPOILT)
def test_hundreds_of_spoilt_requests_are_answered_and_the_next_job_is_done(worker, tmp_path):
    model = str(save_untrained_model(tmp_path / "models" / "small"))
    arguments = {"volume": a_head(), "model": model, "device": "cpu", "accept_any_input": True}
    victim, job = Job(arguments, tmp_path), Job(arguments, tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    random = np.random.default_rng(20261123)
    for number in range(SPOILT):
        worker.send(spoilt({**victim.request, "id": f"spoilt {number}"}, random))
    worker.send(job.request)
    refused, event = 0, worker.next_event("done", "error", patience_s=PATIENCE_S)
    while event.get("id") != job.id:
        refused += event["event"] == "error" and bool(event["message"].strip())
        event = worker.next_event("done", "error", patience_s=PATIENCE_S)
    assert event["event"] == "done"
    assert refused > SPOILT / 2  # the rest were still requests, or nobody's
    assert job.result(event).synthetic.has_grid_of(a_head())
    for one in (job, victim):
        one.remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name for name in before if not name.startswith("t1t2-")]
