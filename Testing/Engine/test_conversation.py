"""The panel's side of the talk with the worker: every job ends once, and its folder with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from T1T2TranslationLib import protocol, samples
from T1T2TranslationLib.conversation import Conversation
from T1T2TranslationLib.errors import Cancelled, DeviceFailure, UnsuitableOutput, UnsuitableVolume
from T1T2TranslationLib.job import Job


class Heard:
    """What was sent to the worker and called back to the panel."""

    def __init__(self):
        self.sent, self.progress, self.done, self.errors = [], [], [], []

    def on_progress(self, fraction, message):
        self.progress.append((fraction, message))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def talk(heard, tmp_path):
    """A conversation in which one job waits for its answer."""
    talk = Conversation(lambda data: heard.sent.append(protocol.decode(data)))
    arguments = {"volume": samples.phantom(spacing_mm=(9, 9, 9)), "model": "t1_to_t2", "device": "cpu"}
    talk.ask(arguments, tmp_path, heard.on_progress, heard.done.append, heard.errors.append)
    return talk


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.iterdir())


def answer(heard: Heard, **event) -> bytes:
    return protocol.encode({"id": heard.sent[0]["id"], **event}).encode()


def done(heard: Heard) -> bytes:
    request = heard.sent[0]
    translation = samples.phantom_translation(samples.phantom(spacing_mm=(9, 9, 9)), with_reference=True)
    return protocol.encode(protocol.done_event(request["id"], translation, Path(request["folder"]))).encode()


def test_a_job_is_answered_once_and_its_folder_removed(talk, heard, tmp_path):
    assert talk.is_busy
    assert len(folders(tmp_path)) == 1
    data = answer(heard, event="progress", fraction=0.5, message="Half") + done(heard)
    for start in range(0, len(data), 100):  # in pieces, as a pipe delivers
        talk.receive(data[start : start + 100])
    assert heard.progress == [(0.5, "Half")]
    assert [translation.comparison.metrics["brain"]["SSIM"] for translation in heard.done] == [0.9]
    assert not talk.is_busy
    assert not heard.errors
    assert not folders(tmp_path)


def test_an_error_comes_back_as_its_class(talk, heard, tmp_path):
    talk.receive(answer(heard, event="error", kind="unsuitable-volume", message="A CT.", remedy="Choose an MR."))
    assert type(heard.errors[0]) is UnsuitableVolume
    assert str(heard.errors[0]) == "A CT. Choose an MR."
    assert not talk.is_busy
    assert not folders(tmp_path)


def test_garbage_and_answers_to_other_jobs_are_ignored(talk, heard):
    talk.receive(b"Warning: something\n\n[1]\n\xff\n" + protocol.encode({"event": "done", "id": "other"}).encode())
    talk.receive(answer(heard, event="progress", fraction="?", message=""))
    assert talk.is_busy
    assert not heard.errors
    assert not heard.progress


def test_a_result_that_cannot_be_read_is_an_error(talk, heard, tmp_path):
    message = done(heard)
    next(Path(heard.sent[0]["folder"]).glob("synthetic.npy")).write_bytes(b"half")
    talk.receive(message)
    assert "cannot be read" in str(heard.errors[0])
    assert not heard.done
    assert not folders(tmp_path)


def test_a_worker_that_dies_is_told_with_its_last_words(talk, heard, tmp_path):
    talk.receive(b'{"event": "progr')
    talk.lose("Traceback ...\nMemoryError: no more\n")
    assert isinstance(heard.errors[0], DeviceFailure)
    assert "MemoryError: no more" in str(heard.errors[0])
    talk.lose("")  # Qt tells twice of a crash
    assert len(heard.errors) == 1
    assert not folders(tmp_path)


def test_a_cancelled_job_that_is_not_answered_is_given_up(talk, heard, tmp_path):
    assert not talk.is_cancelled
    talk.cancel()
    assert talk.is_cancelled
    assert heard.sent[1] == {"command": "cancel", "id": heard.sent[0]["id"]}
    talk.give_up()
    assert isinstance(heard.errors[0], Cancelled)
    assert not talk.is_cancelled
    assert not folders(tmp_path)


def test_a_dropped_job_calls_nobody_back(talk, heard, tmp_path):
    late = done(heard)
    talk.drop()
    assert heard.sent[1]["command"] == "cancel"
    assert not folders(tmp_path)
    talk.receive(late)
    talk.lose("")
    assert not heard.done
    assert not heard.errors


def test_one_job_at_a_time(talk, tmp_path):
    with pytest.raises(RuntimeError, match="one image at a time"):
        talk.ask({}, tmp_path, print, print, print)


def test_images_that_cannot_be_written_leave_no_job(heard, tmp_path):
    talk = Conversation(heard.sent.append)
    with pytest.raises(UnsuitableOutput, match="No temporary folder"):
        talk.ask({"volume": samples.phantom(), "model": "m"}, tmp_path / "gone", print, print, print)
    assert not talk.is_busy
    assert not heard.sent


def test_a_disk_that_fills_leaves_no_folder(tmp_path, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(UnsuitableOutput, match="No space left on device"):
        Job({"volume": samples.phantom(), "model": "m"}, tmp_path)
    assert not folders(tmp_path)
