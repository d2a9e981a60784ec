"""Samples painted from label maps: what each tissue looks like, how much it counts, and when painting ends."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from phantom import a_head_volume
from T1T2TranslationLib.errors import UnsuitableTrainingData
from T1T2TranslationLib.io import write_volume
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.training.bundle import Manner, Materials, train_bundle
from T1T2TranslationLib.training.dataset import Pair, Sampler, read_label_maps
from T1T2TranslationLib.training.recipe import Augmentation
from T1T2TranslationLib.training.run import Run
from T1T2TranslationLib.training.synthesis import label_planes, paint
from T1T2TranslationLib.volume import Volume
from training_givens import SMALL

# Blocks of a toy label map along its columns, by FreeSurfer's codes; 500 and above are outside the brain.
WHITE, CORTEX, FLUID, SKIN = 2, 3, 4, 510
BLOCKS = {WHITE: slice(4, 14), CORTEX: slice(14, 24), FLUID: slice(24, 34), SKIN: slice(34, 44)}
AIR = slice(44, 48)
MAP_SHAPE = (48, 40, 9)  # R, A, S
STILL = Augmentation(**{entry.name: 0.0 for entry in dataclasses.fields(Augmentation)})


def toy_labels(planes: int = 5) -> np.ndarray:
    """(planes, 40, 48), every plane alike."""
    labels = np.zeros((planes, 40, 48), np.int16)
    for code, columns in BLOCKS.items():
        labels[:, 4:36, columns] = code
    return labels


def toy_map() -> Volume:
    """The same as a volume of 1 mm; its lowest plane is air, and the next holds skin alone."""
    array = np.moveaxis(toy_labels(MAP_SHAPE[2]), 0, 2).swapaxes(0, 1).copy()
    array[:, :, 0] = 0
    array[:, :, 1] = np.where(array[:, :, 1] == SKIN, SKIN, 0)
    return Volume(array, np.eye(4), "toy labels")


def level(plane: torch.Tensor, code: int) -> float:
    """Median within a block, away from its edge."""
    columns = BLOCKS[code]
    return float(plane[7:33, columns.start + 3 : columns.stop - 3].median())


def painted(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """T1 planes (5, H, W), T2 and weight (H, W) of one draw."""
    stack = paint(toy_labels(), 0.2, np.random.default_rng(seed))
    assert stack.shape == (7, 40, 48)
    return stack[:5], stack[5], stack[6]


@pytest.fixture(scope="module")
def a_pair() -> Pair:
    """A stripped phantom whose target is its own input."""
    planes = Preprocessing().prepare(a_head_volume(stripped=True))
    count = len(planes)
    return Pair("one", planes, planes.values, np.ones_like(planes.values), np.full(count, 1 / count))


class NotingSampler(Sampler):
    """Notes, for itself and its copies, each batch's painted share and where its samples came from."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = []

    def batch(self):
        found = super().batch()
        self.seen.append((self.painted_share, [name.startswith("painted plane") for name in self.drawn]))
        return found


# ---- one sample


@pytest.mark.parametrize("seed", range(8))
def test_fluid_is_brightest_in_t2_and_darkest_in_t1_and_white_matter_the_reverse(seed):
    t1, t2, _ = painted(seed)
    assert level(t1[2], FLUID) < 0.8 * level(t1[2], CORTEX) < level(t1[2], CORTEX) < level(t1[2], WHITE)
    assert level(t2, FLUID) > 1.2 * level(t2, CORTEX) > level(t2, CORTEX) > level(t2, WHITE)
    assert level(t1[2], WHITE) == pytest.approx(1, abs=0.25)  # 0.95 to 1.05, and texture
    assert (t1[:, :, AIR.start + 1 :] == 0).all()
    assert (t2[:, AIR.start + 1 :] == 0).all()


def test_most_samples_are_stripped_and_the_others_show_what_is_outside_the_brain():
    shown = np.array([[level(plane, SKIN) for plane in (t1[2], t2)] for t1, t2, _ in map(painted, range(60))])
    is_stripped = (shown == 0).all(axis=1)
    assert is_stripped.mean() == pytest.approx(0.6, abs=0.15)
    assert (shown[~is_stripped].mean(axis=0) > 0.2).all()
    assert (shown[~is_stripped].std(axis=0) > 0.1).all()  # of every brightness


@pytest.mark.parametrize("background_weight", [0.2, 0.0])
def test_the_brain_counts_1_and_all_else_the_background_weight(background_weight):
    expected = np.full((40, 48), background_weight, np.float32)
    expected[4:36, 4:34] = 1
    for seed in range(6):  # stripped and whole
        weight = paint(toy_labels(), background_weight, np.random.default_rng(seed))[6]
        np.testing.assert_array_equal(weight, expected)


def test_target_and_weight_are_of_the_middle_plane():
    labels = np.zeros((5, 40, 48), np.int16)
    labels[2, 4:36, 10:20] = WHITE
    labels[3, 4:36, 30:40] = FLUID
    stack = paint(labels, 0.2, np.random.default_rng(0))
    shown = (stack[:, 20, [15, 35]] > 0.05).tolist()  # in the white matter, in the fluid of the next plane
    assert shown[2:4] == [[True, False], [False, True]]
    assert shown[5] == [True, False]
    assert stack[6, 20, [15, 35]].tolist() == pytest.approx([1, 0.2])


# ---- label maps


def test_a_data_list_s_label_maps_are_read_onto_the_planes_and_drawn_by_their_share_of_brain(tmp_path):
    write_volume(toy_map(), tmp_path / "map.nii.gz")
    (tmp_path / "list.json").write_text(json.dumps({"labels": [{"path": "map.nii.gz"}]}))
    (found,) = read_label_maps(tmp_path / "list.json", Preprocessing())
    brain_planes = [plane for plane in found.labels if ((plane > 0) & (plane < 500)).any()]
    assert len(brain_planes) == 7
    assert set(np.unique(brain_planes[3])) == {0, *BLOCKS}
    assert {int((brain_planes[3] == code).sum()) for code in BLOCKS} == {32 * 10}
    assert found.chances.sum() == pytest.approx(1)
    assert sorted(set(found.chances.round(6))) == pytest.approx([0, 1 / 7], abs=1e-6)  # air and skin alone: never
    direct = label_planes(toy_map(), Preprocessing())
    np.testing.assert_array_equal(found.labels, direct.labels)


# ---- the share of painted samples


def test_the_painted_share_falls_linearly_to_none_where_painting_ends(a_pair, tmp_path):
    recipe = dataclasses.replace(SMALL, steps=10, batch_size=2, painted_share=0.8, painting_ends=0.6, augmentation=STILL)
    sampler = NotingSampler([a_pair], recipe, 0, [label_planes(toy_map(), Preprocessing())])
    run = Run(recipe, sampler, tmp_path / "checkpoint.pt", device="cpu")
    for run.steps in (0, 3, 6, 7):
        run.step()
    assert [share for share, _ in sampler.seen] == pytest.approx([0.8, 0.4, 0.0, 0.0])
    assert not any(sampler.seen[3][1])


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_so_many_samples_are_painted(a_pair, share):
    recipe = dataclasses.replace(SMALL, batch_size=80, patch=16, painted_share=share, augmentation=STILL)
    sampler = NotingSampler([a_pair], recipe, 0, [label_planes(toy_map(), Preprocessing())])
    sampler.batch()
    assert np.mean(sampler.seen[0][1]) == pytest.approx(share, abs=0.12 if 0 < share < 1 else 0)


def test_painting_without_label_maps_is_refused_before_anything_is_written(a_pair, tmp_path):
    recipe = dataclasses.replace(SMALL, painted_share=0.5)
    with pytest.raises(UnsuitableTrainingData) as raised:
        train_bundle(recipe, Materials([a_pair], Preprocessing()), tmp_path / "model", Manner("cpu"))
    assert "paints 50 % of its first samples" in str(raised.value)
    assert "no label maps" in str(raised.value)
    assert 'under "labels"' in str(raised.value)
    assert "painted_share to 0" in str(raised.value)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda labels: np.where(labels == WHITE, 1002, labels), "its labels run from 0 to 1002"),
        (lambda labels: np.where(labels < 500, 0, labels), "0 voxels are brain"),
    ],
)
def test_a_map_of_other_labels_or_without_brain_is_refused(change, said):
    with pytest.raises(UnsuitableTrainingData, match=said):
        label_planes(toy_map().with_array(change(toy_map().array)), Preprocessing())


def test_a_map_whose_labels_would_be_mixed_by_resampling_is_refused():
    coarse = Volume(toy_map().array, toy_map().affine @ np.diag([2, 2, 1, 1]), "coarse")
    with pytest.raises(UnsuitableTrainingData, match=r"'coarse' cannot be painted.*2 x 2 x 1 mm"):
        label_planes(coarse, Preprocessing())
