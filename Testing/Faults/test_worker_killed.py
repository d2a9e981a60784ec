"""The worker is killed, cancelled and shouted at; the panel lives, says what happened, and the next run works."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
import slicer
from T1T2TranslationLib import protocol, samples
from T1T2TranslationLib.conversation import Conversation
from T1T2TranslationLib.worker_process import WorkerProcess

MODULE = Path(__file__).resolve().parents[2] / "T1T2Translation" / "T1T2Translation.py"
PATIENCE_S = 300


@pytest.fixture
def panel(slicer_host):
    """The module's panel with a T1 chosen; nothing is computed that a CPU cannot do in a second."""
    panel = slicer_host.open_panel(slicer_host.load_module(MODULE))
    head = samples.phantom(spacing_mm=(4, 4, 4))
    panel._parameterNode.inputVolume = slicer.util.addVolumeFromArray(head.array.transpose(2, 1, 0), head.affine, "Head")
    panel._parameterNode.device = "cpu"
    return panel


def finish(host, panel) -> None:
    host.wait_until(lambda: not panel.worker.talk.is_busy, PATIENCE_S)


def workers() -> list[int]:
    """Worker processes that are children of this one, the dead but not yet collected among them."""
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, IndexError):  # it ended meanwhile
            continue
        if parent == os.getpid() and (b"T1T2TranslationLib.worker" in command or not command):
            children.append(int(status.parent.name))
    return children


def job_folders(host) -> list[Path]:
    return list(Path(host.app.temporaryPath).glob("t1t2-*"))


def kill_at_random_moments(times: int, host, panel, seed: int = 5) -> int:
    """Kill the worker this often while it starts, loads, computes, answers or rests; returns how many jobs that ended."""
    chance = random.Random(seed)
    start = time.monotonic()
    panel.ui.applyButton.click()
    finish(host, panel)
    longest_s, outputs = time.monotonic() - start, slicer.mrmlScene.GetNumberOfNodes()
    panel.worker.close()
    lost = 0
    for _ in range(times):
        panel.ui.applyButton.click()
        host.process_events(int(1000 * chance.uniform(0, longest_s)))
        was_busy = panel.worker.talk.is_busy
        if panel.worker.is_running:
            os.kill(panel.worker.process_id, signal.SIGKILL)
        host.wait_until(lambda: not panel.worker.is_running and not panel.worker.talk.is_busy, PATIENCE_S)
        if was_busy and "Done" not in panel.ui.messageLabel.text:  # else its answer was on the way already
            lost += 1
            assert "ended unexpectedly" in panel.ui.messageLabel.text
            assert "Try again" in panel.ui.messageLabel.text
        assert panel.ui.applyButton.enabled
        assert slicer.mrmlScene.GetNumberOfNodes() == outputs
        assert job_folders(host) == []
        assert workers() == []
    panel.ui.applyButton.click()
    finish(host, panel)
    assert "Done" in panel.ui.messageLabel.text
    return lost


@pytest.mark.timeout(1200)  # each start of a worker loads torch, on however busy a machine
def test_the_panel_survives_a_worker_killed_at_random_moments(slicer_host, panel):
    assert kill_at_random_moments(5, slicer_host, panel) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.faults("killed workers", 25)
@pytest.mark.parametrize("quarter", range(4))
def test_the_panel_survives_a_worker_killed_a_hundred_times(slicer_host, panel, quarter):
    lost = kill_at_random_moments(25, slicer_host, panel, seed=quarter)
    print(f"25 kills, {lost} of them in the middle of a job")
    assert lost > 10


def count_observers() -> int:
    """Of the scene and every node in it: each prints one line with the tag of each of its observers."""
    scene = slicer.mrmlScene
    objects = [scene, *(scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))]
    return sum(str(one).count("Tag: ") for one in objects)


def apply_and_cancel(times: int, host, panel) -> None:
    """Pairs of Apply and Cancel, the time between them different each time, leave everything as it was."""
    panel.ui.applyButton.click()
    finish(host, panel)
    nodes, observers, files = slicer.mrmlScene.GetNumberOfNodes(), count_observers(), len(os.listdir("/proc/self/fd"))
    assert observers > 0
    for pair in range(times):
        panel.ui.applyButton.click()
        host.process_events(pair % 7 * 20)
        panel.ui.cancelButton.click()
        finish(host, panel)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert count_observers() == observers
    assert len(workers()) <= 1
    assert job_folders(host) == []
    assert len(os.listdir("/proc/self/fd")) <= files + 2
    panel.ui.applyButton.click()
    finish(host, panel)
    assert "Done" in panel.ui.messageLabel.text


def test_apply_and_cancel_leak_neither_nodes_nor_observers_nor_processes(slicer_host, panel):
    apply_and_cancel(5, slicer_host, panel)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.faults("pairs of Apply and Cancel", 50)
def test_fifty_pairs_of_apply_and_cancel_leak_neither_nodes_nor_observers_nor_processes(slicer_host, panel):
    apply_and_cancel(50, slicer_host, panel)


@pytest.mark.faults("two panels at once")
def test_two_panels_translate_at_once_and_the_end_of_one_is_not_the_others(slicer_host):
    import qt

    head, answers = samples.phantom(spacing_mm=(4, 4, 4)), {}
    arguments = {"volume": head, "model": "t1_to_t2", "device": "cpu"}
    both = {name: WorkerProcess(qt, slicer_host.app.temporaryPath) for name in ("one", "other")}
    try:
        for name, worker in both.items():
            worker.translate(arguments, lambda *_: None, lambda result, name=name: answers.update({name: result}), pytest.fail)
        assert both["one"].process_id != both["other"].process_id
        slicer_host.wait_until(lambda: answers, PATIENCE_S)
        first = next(iter(answers))
        both[first].close()
        slicer_host.wait_until(lambda: len(answers) == 2, PATIENCE_S)
        assert all(result.synthetic.has_grid_of(head) for result in answers.values())
    finally:
        for worker in both.values():
            worker.close()
    assert job_folders(slicer_host) == []


# ---- garbage from the worker's side of the pipe; from the panel's side see Engine/test_worker.py


GARBAGE = (
    b"\0" * 4096 + b"\n",
    b"[" * 200_000 + b"\n",
    b'{"event": "done"}\n',
    b'{"event": "progress", "id": ID, "fraction": NaN, "message": null}\n',
    b'{"event": "progress", "id": ID, "fraction": 1e999, "message": [1]}\n',
    b'{"event": ["done"], "id": ID}\n',
    b'"done"\n',
    b"\xff\xfe\xfd\n",
    b'{"event": "progress", "id": ID, "fraction": {}, "message": ""}\n',
)


@pytest.fixture
def waiting(tmp_path):
    """A conversation whose job waits, the job's id as JSON, and what it called back."""
    sent, heard = [], []
    talk = Conversation(lambda data: sent.append(protocol.decode(data)))
    arguments = {"volume": samples.phantom(spacing_mm=(9, 9, 9)), "model": "t1_to_t2"}
    talk.ask(arguments, tmp_path, lambda *_: None, lambda _: heard.append("done"), lambda error: heard.append(str(error)))
    yield talk, b'"' + sent[0]["id"].encode() + b'"', heard
    talk.drop()


@pytest.mark.faults("garbage on the pipe")
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_from_the_worker_neither_ends_nor_confuses_a_job(waiting, garbage):
    talk, job, heard = waiting
    talk.receive(garbage.replace(b"ID", job))
    assert talk.is_busy
    assert heard == []


@pytest.mark.faults("garbage on the pipe")
@pytest.mark.parametrize("answer", [b"null", b"[]", b"{}", b'{"synthetic": {"array": "/etc/passwd"}}', b'{"comparison": 5}'])
def test_an_answer_that_is_nonsense_ends_the_job_with_a_sentence(waiting, answer, tmp_path):
    talk, job, heard = waiting
    talk.receive(b'{"event": "done", "id": %b, "translation": %b}\n' % (job, answer))
    assert not talk.is_busy
    assert len(heard) == 1
    assert heard[0] != "done"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults("garbage on the pipe")
def test_a_line_without_end_fills_no_memory(waiting):
    talk, _, heard = waiting
    for _ in range(40):
        talk.receive(b"x" * (1 << 20))
        assert len(talk._received) <= 1 << 24
    assert talk.is_busy
    assert heard == []
