"""The worker as a real process: answers every request once, a cancellation at once, and ends with its parent."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import T1T2TranslationLib
from givens import OBLIQUE, a_head, save_untrained_model
from T1T2TranslationLib import protocol
from T1T2TranslationLib.job import Job
from T1T2TranslationLib.volume import Volume

LIB_PARENT = Path(T1T2TranslationLib.__file__).parents[1]
PATIENCE_S = 120


@pytest.fixture(scope="module")
def a_small_model(tmp_path_factory) -> str:
    return str(save_untrained_model(tmp_path_factory.mktemp("models") / "small"))


@pytest.fixture(scope="module")
def a_slow_model(tmp_path_factory) -> str:
    return str(save_untrained_model(tmp_path_factory.mktemp("models") / "slow", widths=(32, 64, 128, 192)))


class WorkerInTest:
    """The process, its events in a queue."""

    def __init__(self, *, blocked: str = "", stderr: int | None = None):
        code = (
            f"import runpy, sys; sys.modules[{blocked!r}] = None; runpy.run_module('T1T2TranslationLib.worker', None, '__main__')"
        )
        command = ["-c", code] if blocked else ["-m", "T1T2TranslationLib.worker"]
        environment = {**os.environ, "PYTHONPATH": str(LIB_PARENT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment
        )
        self.lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.deaf = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
            if self.deaf:
                return

    def send(self, message: dict | bytes) -> None:
        self.process.stdin.write(message if isinstance(message, bytes) else protocol.encode(message).encode())
        self.process.stdin.flush()

    def next_event(self, *kinds: str, patience_s: float = PATIENCE_S) -> dict:
        """The next event of one of these kinds; every line until then must be a message."""
        end = time.monotonic() + patience_s
        while True:
            event = protocol.decode(self.lines.get(timeout=max(0.01, end - time.monotonic())))
            if event["event"] in kinds:
                return event

    def answer_to(self, job: Job) -> dict:
        event = self.next_event("done", "error")
        assert event["id"] == job.id
        return event

    def wait(self, patience_s: float = 10) -> int:
        return self.process.wait(patience_s)


@pytest.fixture
def worker() -> Iterator[WorkerInTest]:
    worker = WorkerInTest()
    yield worker
    worker.process.kill()
    worker.wait()


def a_job(tmp_path: Path, model: str, volume: Volume | None = None, **arguments: object) -> Job:
    volume = a_head() if volume is None else volume
    return Job({"volume": volume, "model": model, "device": "cpu", "accept_any_input": True, **arguments}, tmp_path)


def a_long_job(tmp_path: Path, model: str) -> Job:
    millimetre_voxels = OBLIQUE @ np.diag([1 / 3, 1 / 3, 1 / 3, 1])
    return a_job(tmp_path, model, a_head((96, 96, 500), millimetre_voxels))


def test_it_is_ready_before_torch_is_loaded(worker):
    start = time.monotonic()
    assert worker.next_event("ready")["version"] == T1T2TranslationLib.__version__
    assert time.monotonic() - start < 3


def test_two_requests_give_what_translate_gives(worker, tmp_path, a_small_model):
    from T1T2TranslationLib.inference import translate

    wanted = translate(a_head(), a_small_model, device="cpu", accept_any_input=True)
    for _ in range(2):
        job = a_job(tmp_path, a_small_model)
        worker.send(job.request)
        assert worker.next_event("progress")["id"] == job.id
        found = job.result(worker.answer_to(job))
        difference = found.synthetic.array.astype(float) - wanted.synthetic.array
        assert np.abs(difference).mean() < 0.02 * wanted.synthetic.array.max()  # each process chooses its own precision
        np.testing.assert_array_equal(found.synthetic.affine, OBLIQUE)
        assert found.provenance["weights_sha256"] == wanted.provenance["weights_sha256"]
        job.remove()
    assert list(tmp_path.iterdir()) == []


def test_an_unsuitable_input_is_an_error_event_and_the_worker_goes_on(worker, tmp_path, a_small_model):
    empty = Volume(np.zeros((20, 20, 20), np.int16), OBLIQUE, "nothing")
    job = a_job(tmp_path, a_small_model, empty)
    worker.send(job.request)
    event = worker.answer_to(job)
    assert event["kind"] == "unsuitable-volume"
    assert "nothing" in event["message"]
    missing = a_job(tmp_path, "t1_to_nowhere")
    worker.send(missing.request)
    event = worker.answer_to(missing)
    assert event["kind"] == "unsuitable-model"
    assert "t1_to_nowhere" in event["message"]
    assert event["remedy"]


@pytest.mark.faults("garbage on the pipe", 6)
def test_garbage_is_answered_and_survived(worker, tmp_path, a_small_model):
    for garbage in (b"\n", b"garbage\n", b"\xff\xfe\n", b'{"command": "dance"}\n', b'{"command": "cancel", "id": "unknown"}\n'):
        worker.send(garbage)
    worker.send(b'{"command": "translate", "id": "1"}\n')
    events = [worker.next_event("error") for _ in range(5)]
    assert [event["kind"] for event in events] == ["error"] * 5
    assert "incomplete" in events[-1]["message"]
    assert events[-1]["id"] == "1"
    job = a_job(tmp_path, a_small_model)
    worker.send(job.request)
    assert worker.answer_to(job)["event"] == "done"


def test_a_cancellation_is_answered_within_a_second_while_torch_is_still_loading(worker, tmp_path, a_small_model):
    worker.next_event("ready")
    check_cancellation(worker, tmp_path, a_small_model)


def test_a_cancellation_is_answered_within_a_second_while_the_network_runs(worker, tmp_path, a_slow_model):
    job = a_job(tmp_path, a_slow_model)
    worker.send(job.request)
    assert worker.answer_to(job)["event"] == "done"  # warm
    job.remove()
    check_cancellation(worker, tmp_path, a_slow_model, from_fraction=0.1)


def check_cancellation(worker: WorkerInTest, tmp_path: Path, model: str, from_fraction: float = 0.0) -> None:
    job = a_long_job(tmp_path, model)
    worker.send(job.request)
    while worker.next_event("progress")["fraction"] < from_fraction:
        pass
    start = time.monotonic()
    worker.send(protocol.cancel_request(job.id))
    event = worker.answer_to(job)
    assert time.monotonic() - start < 1
    assert event["kind"] == "cancelled"
    job.remove()
    following = a_job(tmp_path, model)
    worker.send(following.request)
    assert worker.answer_to(following)["event"] == "done"  # and nothing more of the cancelled one
    following.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_waiting_job_can_be_cancelled_too(worker, tmp_path, a_slow_model):
    running, waiting = a_long_job(tmp_path, a_slow_model), a_job(tmp_path, a_slow_model)
    for message in (running.request, waiting.request, protocol.cancel_request(waiting.id)):
        worker.send(message)
    assert worker.answer_to(waiting)["kind"] == "cancelled"
    worker.send(protocol.cancel_request(running.id))
    assert worker.answer_to(running)["kind"] == "cancelled"


@pytest.mark.faults("pipes that close")
@pytest.mark.parametrize("goodbye", ["stdin closed", "nobody reads"])
def test_it_ends_with_its_parent_in_the_middle_of_a_job_and_leaves_no_images(worker, tmp_path, a_slow_model, goodbye):
    job = a_long_job(tmp_path, a_slow_model)
    worker.send(job.request)
    while worker.next_event("progress")["fraction"] < 0.1:
        pass
    if goodbye == "stdin closed":
        worker.process.stdin.close()
    else:
        worker.deaf = True
        worker.next_event("progress")
        worker.process.stdout.close()
    assert worker.wait(5) == 0
    assert not job.folder.exists()


def test_an_unwritable_result_is_an_error_event(worker, tmp_path, a_small_model):
    job = a_job(tmp_path, a_small_model)
    (job.folder / "synthetic.npy").mkdir()
    worker.send(job.request)
    event = worker.answer_to(job)
    assert event["kind"] == "unsuitable-output"
    assert "synthetic.npy" in event["message"]


def test_ctrl_c_in_the_parents_terminal_does_not_end_it(worker):
    worker.next_event("ready")
    worker.process.send_signal(signal.SIGINT)
    worker.send(b"still there?\n")
    assert worker.next_event("error")["kind"] == "error"


def test_without_torch_the_error_says_how_to_get_it(tmp_path, a_small_model):
    worker = WorkerInTest(blocked="torch")
    try:
        worker.next_event("ready")
        job = a_job(tmp_path, a_small_model)
        worker.send(job.request)
        event = worker.answer_to(job)
        assert event["kind"] == "error"
        assert "PyTorch" in event["message"]
        assert "Install" in event["remedy"]
    finally:
        worker.process.kill()
        worker.wait()


def test_an_unexpected_failure_is_an_error_event_with_its_cause(tmp_path, a_small_model):
    worker = WorkerInTest(blocked="T1T2TranslationLib.head", stderr=subprocess.DEVNULL)
    try:
        job = a_job(tmp_path, a_small_model)
        job.request["input"]["affine"] = "not a matrix"
        worker.send(job.request)
        event = worker.answer_to(job)
        assert event["kind"] == "error"
        assert event["message"]
        assert event["remedy"]
    finally:
        worker.process.kill()
        worker.wait()
