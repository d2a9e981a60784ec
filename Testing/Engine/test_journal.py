"""The journal of a run: its table goes on after an interruption, TensorBoard reads its events, its pictures show the slices."""

from __future__ import annotations

import io
import logging
import sys

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from phantom import a_head_volume
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.network import TranslationNetwork
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import Subject
from T1T2TranslationLib.training.dataset import Pair, load_pairs
from T1T2TranslationLib.training.journal import Journal, read_curve
from T1T2TranslationLib.training.showcase import Showcase, Sight
from training_givens import SMALL


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> list[Pair]:
    """A stripped brain with a tumour of 4 x 4 x 4 voxels, and an oblique head of thick slices without."""
    folder = tmp_path_factory.mktemp("data")
    oblique = {"shape": (53, 57, 19), "spacing_mm": (0.9, 0.9, 3.0), "degrees": 17, "dtype": np.float32}
    subjects = []
    for name, grid in (("one", {"stripped": True}), ("two", oblique)):
        images = {"t1n": a_head_volume(**grid), "t2w": a_head_volume(**grid, contrast="T2")}
        if name == "one":
            tumour = np.zeros(images["t1n"].shape, np.uint8)
            tumour[27:31, 29:33, 22:26] = 1
            images["seg"] = images["t1n"].with_array(tumour)
        for sequence, volume in images.items():
            write_volume(volume, folder / f"{name}-{sequence}.nii.gz")
        subjects.append(Subject(name, {sequence: folder / f"{name}-{sequence}.nii.gz" for sequence in images}))
    return load_pairs(subjects, SMALL, Preprocessing())


@pytest.fixture
def a_network() -> TranslationNetwork:
    torch.manual_seed(0)
    return TranslationNetwork(**SMALL.network.as_arguments())


def note(journal: Journal, steps: range, seconds_each: float = 12.0) -> None:
    for step in steps:
        journal.scalars(step, step * seconds_each, {"mae": 1 / step, "ssim": 0.5}, 1e-3)


def steps_of(journal: Journal) -> list[float]:
    return [row["step"] for row in read_curve(journal.folder / "curve.csv")]


# ---- the table


def test_every_ten_seconds_of_training_are_one_row_of_means(pairs, tmp_path):
    journal = Journal(tmp_path, pairs, SMALL)
    for step in range(1, 9):
        journal.scalars(step, 4.0 * step, {"mae": float(step)}, 1e-3)
    journal.finish()
    rows = read_curve(tmp_path / "journal" / "curve.csv")
    # rows are due at 4 s, at or after 14 s, and at or after 26 s; the rest is written at the end
    assert [(row["step"], row["seconds"], row["mae"]) for row in rows] == [(1, 4, 1), (4, 16, 3), (7, 28, 6), (8, 32, 8)]
    assert rows[0]["learning_rate"] == 1e-3


def test_after_an_interruption_the_table_goes_on_from_the_checkpoint(pairs, tmp_path):
    note(Journal(tmp_path, pairs, SMALL), range(1, 8))  # killed at step 7, with a checkpoint of step 4
    again = Journal(tmp_path, pairs, SMALL)
    note(again, range(5, 10))
    assert steps_of(again) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_an_interrupted_and_an_undisturbed_run_leave_the_same_table(pairs, tmp_path):
    undisturbed = Journal(tmp_path / "a", pairs, SMALL)
    note(undisturbed, range(1, 10))
    note(Journal(tmp_path / "b", pairs, SMALL), range(1, 8))
    note(Journal(tmp_path / "b", pairs, SMALL), range(5, 10))
    tables = [(tmp_path / run / "journal" / "curve.csv").read_text() for run in "ab"]
    assert tables[0] == tables[1]


def test_a_row_that_was_cut_off_is_dropped(pairs, tmp_path):
    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 5))
    table = journal.folder / "curve.csv"
    table.write_text(table.read_text().rstrip()[:-14])
    again = Journal(tmp_path, pairs, SMALL)
    note(again, range(4, 7))
    assert steps_of(again) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    "row", ["3,36.0,0.001,0.33", "3,36.0,0.001,0.34,36.0,0.001,0.25,0.5", "3,36.0,0.001,nought,0.5", "\0\0\0"]
)
def test_a_row_that_is_not_whole_is_passed_over_and_the_run_goes_on(pairs, tmp_path, row):
    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 5))
    table = journal.folder / "curve.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:3], row, lines[4], ""]))
    assert steps_of(journal) == [1, 2, 4]
    again = Journal(tmp_path, pairs, SMALL)
    note(again, range(4, 7))
    assert steps_of(again) == [1, 2, 4, 5, 6]


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files is limited by a POSIX call")
def test_a_disk_that_is_full_for_a_while_costs_the_table_no_row(pairs, tmp_path, caplog):
    import resource

    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 4))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    full = (journal.folder / "curve.csv").stat().st_size + 10  # in the middle of a row
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, hard))
    try:
        note(journal, range(4, 5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written" in caplog.text
    assert steps_of(journal) == [1, 2, 3]
    note(journal, range(5, 6))
    assert steps_of(journal) == [1, 2, 3, 4, 5]


def test_a_new_run_in_an_old_folder_starts_a_new_table(pairs, tmp_path, a_network):
    old = Journal(tmp_path, pairs, SMALL)
    note(old, range(1, 5))
    old.picture(a_network, 4, 48.0)
    new = Journal(tmp_path, pairs, SMALL)
    note(new, range(1, 3))
    assert steps_of(new) == [1, 2]
    assert not list(new.folder.glob("s*-000004.*"))


def test_pictures_of_what_happens_again_are_taken_out_and_earlier_ones_stay(pairs, tmp_path, a_network):
    journal = Journal(tmp_path, pairs, SMALL)
    for steps in (range(1, 3), range(3, 7)):
        note(journal, steps)
        journal.picture(a_network, steps[-1], 12.0 * steps[-1])
    again = Journal(tmp_path, pairs, SMALL)
    note(again, range(4, 6))
    assert sorted(path.name for path in again.folder.glob("s*-*")) == ["samples-000002.png", "sight-000002.npz"]


# ---- TensorBoard


def test_tensorboard_reads_every_loss_and_the_learning_rate(pairs, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 5))
    journal.finish()
    events = EventAccumulator(str(tmp_path / "journal")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss/mae", "loss/ssim", "learning_rate"}
    told = [(event.step, event.value) for event in events.Scalars("loss/mae")]
    assert told == [(step, pytest.approx(1 / step, abs=1e-6)) for step in range(1, 5)]


def test_without_tensorboard_one_line_says_so_and_the_table_is_written(pairs, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    journal = Journal(tmp_path, pairs, SMALL)
    with caplog.at_level(logging.INFO):
        note(journal, range(1, 5))
    assert sum("TensorBoard is not installed" in message for message in caplog.messages) == 1
    assert steps_of(journal) == [1, 2, 3, 4]


def test_a_journal_that_cannot_be_written_stops_nothing(pairs, tmp_path, a_network, caplog):
    (tmp_path / "journal").write_text("a file where the folder should be")
    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 3))
    assert journal.picture(a_network, 2, 24.0) is None
    journal.finish()
    assert "cannot be written" in caplog.text


# ---- the showcase


def test_the_slice_with_most_tumour_is_shown_or_else_that_with_most_brain(pairs, a_network):
    with_tumour, without = Showcase(pairs).look(a_network, 3, 9.0)
    assert (with_tumour.name, with_tumour.step, with_tumour.seconds) == ("one", 3, 9.0)
    one = pairs[0]
    index = next(plane for plane in range(len(one.planes)) if (one.weight[plane] == SMALL.tumour_weight).sum() == 16)
    assert one.lesion[index].sum() == 16
    truth = one.target[index].astype(np.float32)
    assert np.array_equal(with_tumour.truth, truth[::-1, ::-1])  # anterior up, the patient's right on the left
    widest = pairs[1].planes.values[int((pairs[1].weight >= 1).sum(axis=(1, 2)).argmax())]
    assert np.array_equal(without.source, widest[::-1, ::-1])


def test_the_showcase_shows_what_the_network_says_and_leaves_it_in_training(pairs, a_network):
    a_network.train()
    (sight, _) = Showcase(pairs).look(a_network, 0, 0.0)
    assert a_network.training
    one = pairs[0]
    index = int(one.lesion.sum(axis=(1, 2)).argmax())
    with torch.no_grad():
        said = a_network.eval()(one.planes.context(index, index + 1))[0, 0].numpy()[::-1, ::-1]
    inside = sight.region
    assert inside.any()
    np.testing.assert_allclose(sight.prediction[inside], np.maximum(said, 0)[inside], atol=1e-6)


def test_a_sights_scores_are_those_of_hand_and_its_file_brings_it_back():
    truth = np.zeros((9, 11), np.float32)
    prediction, region = truth.copy(), np.zeros((9, 11), bool)
    region[2:4, 3:5] = True
    prediction[2, 3], prediction[8, 8] = 0.5, 1.0  # inside, outside the region
    sight = Sight("a", truth, truth, prediction, region, aspect=1.5, step=7, seconds=70.0)
    assert sight.scores()["MAE"] == pytest.approx(0.5 / 4)
    assert sight.scores()["MSE"] == pytest.approx(0.25 / 4)
    assert sight.error.sum() == 0.5
    back = Sight.unpacked(sight.packed())
    assert (back.name, back.aspect, back.step, back.seconds) == ("a", 1.5, 7, 70.0)
    assert np.array_equal(back.prediction, prediction)
    assert np.array_equal(back.region, region)


# ---- the figures


def test_the_picture_shows_input_prediction_truth_and_error_of_every_subject(pairs, tmp_path, a_network):
    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 3))
    path = journal.picture(a_network, 2, 24.0)
    assert path == tmp_path / "journal" / "samples-000002.png"
    image = imread(io.BytesIO(path.read_bytes()))
    colourful = np.ptp(image[..., :3], axis=-1) > 0.1
    columns = np.flatnonzero(colourful.any(axis=0)) / image.shape[1]
    assert columns.min() > 0.65  # only the error map and its bar have colours: the last column of pictures
    assert np.ptp(np.flatnonzero(colourful[:, : int(0.88 * image.shape[1])].any(axis=1))) > 0.5 * image.shape[0]  # in both rows


def test_the_last_picture_shows_one_slice_as_it_improved(pairs, tmp_path, a_network):
    journal = Journal(tmp_path, pairs, SMALL)
    for last in (2, 4, 6):
        note(journal, range(last - 1, last + 1))
        journal.picture(a_network, last, 12.0 * last)
    journal.finish()
    with_three = imread(tmp_path / "journal" / "improvement.png")
    (tmp_path / "journal" / "sight-000004.npz").unlink()
    journal.finish()
    with_two = imread(tmp_path / "journal" / "improvement.png")
    assert with_three.shape[1] - with_two.shape[1] == pytest.approx(2.5 * 0.75 * 75, abs=2)  # a column of pictures more


def test_a_run_without_pictures_ends_without_an_improvement(pairs, tmp_path):
    journal = Journal(tmp_path, pairs, SMALL)
    note(journal, range(1, 3))
    journal.finish()
    assert not (tmp_path / "journal" / "improvement.png").exists()
