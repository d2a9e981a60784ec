"""Subjects are read once for both learners and judging, and nothing of them is left on the disk."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from T1T2TranslationLib.evaluation import evaluate as evaluation
from T1T2TranslationLib.evaluation import shelf as shelves
from T1T2TranslationLib.evaluation.judged import JudgedModels
from T1T2TranslationLib.evaluation.shelf import Shelf


def test_a_case_comes_back_as_it_was_and_leaves_no_trace(a_case):
    with Shelf(lambda subject: a_case) as shelf:
        folder = shelf._folder
        assert shelf.read(a_case.subject, keep=True) is a_case
        assert any(folder.iterdir())
        back = shelf.take(a_case.subject)
        assert not any(folder.iterdir())
        assert shelf.take(a_case.subject) is a_case  # read anew
    assert not folder.exists()
    assert back.subject is a_case.subject
    assert back.volume.has_grid_of(a_case.volume)
    assert back.skull_stripped == a_case.skull_stripped
    assert list(back.masks) == list(a_case.masks)
    assert back.volume.array.dtype == a_case.volume.array.dtype
    for ours, theirs in ((back.volume.array, a_case.volume.array), (back.truth, a_case.truth), (back.seen, a_case.seen)):
        np.testing.assert_array_equal(ours, theirs)
    for name, mask in a_case.masks.items():
        np.testing.assert_array_equal(back.masks[name], mask)


def test_where_the_disk_is_nearly_full_a_case_is_read_again_instead(a_case, monkeypatch):
    monkeypatch.setattr(shelves, "_SPARE_BYTES", 1 << 80)
    with Shelf(lambda subject: a_case) as shelf:
        shelf.read(a_case.subject, keep=True)
        assert not any(shelf._folder.iterdir())
        assert shelf.take(a_case.subject) is a_case


_KILLED = """
import os, signal, sys
from T1T2TranslationLib.evaluation.shelf import Shelf
print(Shelf(None)._folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="asks for processes as POSIX does")
def test_what_a_killed_process_left_goes_with_the_next_shelf_and_a_living_ones_stays(a_case, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # look at the environment again
    killed = subprocess.run([sys.executable, "-c", _KILLED], stdout=subprocess.PIPE, text=True, check=False)
    left = Path(killed.stdout.strip())
    (left / "patient.npy").write_bytes(b"voxels")
    others = [tmp_path / "t1t2-shelf-elsewhere-1-x", tmp_path / "t1t2-job"]
    for folder in others:
        folder.mkdir()
    with Shelf(lambda subject: a_case) as first, Shelf(lambda subject: a_case) as second:
        assert left.parent == first._folder.parent
        assert not left.exists()
        assert first._folder.is_dir()
        assert second._folder.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_every_subject_is_read_once(subjects, an_untrained_model, monkeypatch):
    read = []
    load = evaluation.load_case
    monkeypatch.setattr(evaluation, "load_case", lambda subject, *names: read.append(subject.id) or load(subject, *names))
    found = evaluation.evaluate(subjects[:2], subjects, JudgedModels(str(an_untrained_model), "cpu"), "t1n", "t2w")
    assert [result.subject.id for result in found.results] == ["p0", "p1"]
    assert read == ["p0", "p1", "p2"]
