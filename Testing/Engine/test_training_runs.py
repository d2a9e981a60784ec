"""A run: the same steps from the same seed, from its checkpoint as if nothing had happened, and an end with a sentence."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from T1T2TranslationLib.catalog import ModelCard
from T1T2TranslationLib.device import Device
from T1T2TranslationLib.errors import DeviceFailure, UnsuitableOutput, UnsuitableTrainingData
from T1T2TranslationLib.model import Model
from T1T2TranslationLib.network import NetworkConfig, TranslationNetwork
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import read_datalist
from T1T2TranslationLib.training import losses
from T1T2TranslationLib.training.batches import Batches
from T1T2TranslationLib.training.checkpoint import write_checkpoint
from T1T2TranslationLib.training.dataset import Pair, Sampler, load_pairs
from T1T2TranslationLib.training.hardware import autocast, choose_hardware, plain_memory_errors
from T1T2TranslationLib.training.run import Run
from T1T2TranslationLib.training.watch import Watch
from training_givens import SMALL, save_data

CPU_FLOAT32 = Device(torch.device("cpu"), torch.float32, batch_size=8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> list[Pair]:
    datalist = save_data(tmp_path_factory.mktemp("data"))
    return load_pairs(read_datalist(datalist, "t1n", "t2w"), SMALL, Preprocessing())


@pytest.fixture
def a_run(pairs, tmp_path):
    """Runs of the small recipe, all with one checkpoint."""

    def make(**changes) -> Run:
        recipe = dataclasses.replace(SMALL, **changes)
        return Run(recipe, Sampler(pairs, recipe, recipe.seed), tmp_path / "checkpoint.pt", device="cpu")

    return make


def weights(run: Run) -> torch.Tensor:
    """All kept weights in one row."""
    return torch.cat([parameter.flatten() for parameter in run.average.parameters()])


# ---- draws


def test_a_batch_is_the_same_whenever_it_is_drawn(pairs):
    batches = Batches(Sampler(pairs, SMALL, 0), SMALL.seed)
    second, first = batches.draw(1, 0.0), batches.draw(0, 0.0)
    again = Batches(Sampler(pairs, SMALL, 99), SMALL.seed).draw(0, 0.0)
    assert torch.equal(first.planes, again.planes)
    assert torch.equal(first.target, again.target)
    assert first.names == again.names
    assert not torch.equal(first.planes, second.planes)


def test_threads_draw_ahead_what_would_have_been_drawn(pairs):
    plain, threaded = (Batches(Sampler(pairs, SMALL, 0), SMALL.seed, threads=count) for count in (0, 2))
    for step in range(3, 7):
        one, other = plain.draw(step, 0.0), threaded.draw(step, 0.0)
        assert torch.equal(one.planes, other.planes)
        assert one.names == other.names
    threaded.close()


def test_two_processes_and_two_seeds_draw_differently(pairs):
    sampler = Sampler(pairs, SMALL, 0)
    planes = [Batches(sampler, seed, rank).draw(0, 0.0).planes for seed, rank in ((1, 0), (1, 1), (2, 0))]
    assert not torch.equal(planes[0], planes[1])
    assert not torch.equal(planes[0], planes[2])


# ---- the same again


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(a_run):
    runs = [a_run(steps=4), a_run(steps=4), a_run(steps=4, seed=3)]
    for run in runs:
        run.finish()
    first, again, other = (weights(run) for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_resumed_run_takes_the_very_steps_that_it_would_have_taken(a_run):
    run = a_run()
    for _ in range(3):
        run.step()
    run.seconds = 1.0
    run.save()
    expected = [run.step() for _ in range(2)]
    again = a_run()
    again.resume()
    assert (again.steps, again.seconds) == (3, 1.0)
    assert [again.step() for _ in range(2)] == expected
    assert torch.equal(weights(run), weights(again))


def test_resuming_without_a_checkpoint_starts_anew(a_run):
    run = a_run()
    run.resume()
    assert run.steps == 0


@pytest.mark.parametrize("damage", ["truncated", "other recipe", "no checkpoint"])
def test_a_checkpoint_that_does_not_fit_is_refused(a_run, damage):
    run = a_run(network=NetworkConfig(widths=(16, 8, 8, 8))) if damage == "other recipe" else a_run()
    run.save()
    path = run.checkpoint
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-500])
    if damage == "no checkpoint":
        torch.save({"steps": 3}, path)
    with pytest.raises(UnsuitableTrainingData, match="damaged or belongs to another recipe"):
        a_run().resume()


def test_a_recipe_that_has_changed_since_the_checkpoint_is_said(a_run, caplog):
    a_run().save()
    with caplog.at_level(logging.WARNING):
        a_run(learning_rate=1e-4).resume()
    assert caplog.messages == ["The recipe has changed since the checkpoint: learning_rate was 0.005, is 0.0001."]


def test_a_checkpoint_of_other_subjects_is_refused_by_their_names(a_run, pairs, tmp_path):
    a_run().save()
    fewer = Run(SMALL, Sampler(pairs[:1], SMALL, 0), tmp_path / "checkpoint.pt", device="cpu")
    said = r"learnt from other subjects \(then and not now: two, two stripped; now and not then: none\).*--fold"
    with pytest.raises(UnsuitableOutput, match=said):
        fewer.resume()
    fewer.save()
    with pytest.raises(UnsuitableOutput, match=r"\(then and not now: none; now and not then: two, two stripped\)"):
        a_run().resume()


def test_a_checkpoint_that_began_with_another_model_is_refused_by_its_name(a_run, pairs, tmp_path):
    def begun_with(sha256: str) -> Run:
        card = ModelCard("base", tmp_path, sha256=sha256)
        base = Model(card, TranslationNetwork(**SMALL.network.as_arguments()), Preprocessing())
        return Run(SMALL, Sampler(pairs, SMALL, 0), tmp_path / "checkpoint.pt", start=base, device="cpu")

    begun_with("12" * 32).save()
    begun_with("12" * 32).resume()
    said = r"began with the model 'base' \(weights 121212121212\), this one with random weights.*--from"
    with pytest.raises(UnsuitableOutput, match=said):
        a_run().resume()
    with pytest.raises(UnsuitableOutput, match=r"this one with the model 'base' \(weights 343434343434\)"):
        begun_with("34" * 32).resume()
    a_run().save()
    with pytest.raises(UnsuitableOutput, match="began with random weights, this one with the model 'base'"):
        begun_with("12" * 32).resume()


# ---- its course


def test_the_learning_rate_rises_shortly_and_ends_at_nothing(a_run):
    run = a_run(steps=1000)
    rates = []
    for steps in (0, 30, 500, 999):
        run.steps = steps
        run.step()
        rates.append(run.optimiser.param_groups[0]["lr"] / SMALL.learning_rate)
    assert rates[0] < 0.05
    assert rates[1] == pytest.approx(1, abs=0.01)
    assert 0.4 < rates[2] < 0.6
    assert rates[3] < 1e-4


def test_a_run_ends_with_its_steps_its_epochs_or_its_time(a_run):
    by_steps, by_epochs, by_clock = a_run(steps=3), a_run(steps=0, epochs=2, images_per_epoch=6), a_run(steps=0, minutes=0.001)
    for run in (by_steps, by_epochs, by_clock):
        run.finish()
    assert by_steps.steps == 3
    assert by_epochs.steps == 3  # 12 samples, 4 at a time
    assert by_clock.seconds >= 0.06


def test_lines_tell_how_far_how_long_and_the_mean_losses(a_run, caplog):
    run = a_run(steps=2)
    with caplog.at_level(logging.INFO):
        run.finish(Watch())
    first, last = caplog.messages
    assert first.startswith(" 50.0 %  0:00:0")
    assert last.startswith("100.0 %  0:00:00 left  step 2  mae ")
    assert "learning rate" in last
    assert "samples/s" in last


def test_half_way_the_time_left_is_the_time_gone(a_run):
    run = a_run(steps=10)
    run.steps, run.seconds = 4, 20.0
    assert run.seconds_left == pytest.approx(30)
    clocked = a_run(steps=0, minutes=1)
    clocked.seconds = 20.0
    assert clocked.seconds_left == pytest.approx(40)


# ---- its failures


def test_a_loss_that_is_no_number_ends_the_run_with_the_samples_named_and_the_weights_whole(a_run):
    run = a_run()
    with torch.no_grad():
        next(run.network.parameters()).fill_(float("nan"))
    names = run.batches.draw(0, 0.0).names
    with pytest.raises(UnsuitableTrainingData, match="not a number at step 0, with plane") as caught:
        run.step()
    assert ", ".join(names) in caught.value.message
    assert torch.isfinite(weights(run)).all()


def test_only_the_sample_that_is_no_number_is_named(pairs, tmp_path):
    target = pairs[1].target.copy()
    target[...] = np.nan
    mixed = [pairs[0], dataclasses.replace(pairs[1], target=target)]
    run = Run(SMALL, Sampler(mixed, SMALL, 0), tmp_path / "checkpoint.pt", device="cpu")
    with pytest.raises(UnsuitableTrainingData) as caught:
        run.finish()
    said = caught.value.message.partition(", with ")[2].rstrip(".")
    assert said
    assert all(name.endswith(" of two") for name in said.split(", "))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, a disk that is always full, on this system")
def test_a_full_disk_is_a_sentence_and_the_last_good_checkpoint_stays(a_run):
    run = a_run()
    run.save()
    good = run.checkpoint.read_bytes()
    run.step()
    run.checkpoint.with_suffix(".partial").symlink_to("/dev/full")
    with pytest.raises(UnsuitableOutput, match=r"disk of .* is full: 'checkpoint.pt' was not written\. The last good .* is kept"):
        run.save()
    assert run.checkpoint.read_bytes() == good
    assert [path.name for path in run.checkpoint.parent.iterdir()] == ["checkpoint.pt"]
    again = a_run()
    again.resume()
    assert again.steps == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the system lets this user write everywhere")
def test_a_folder_that_is_closed_is_a_sentence(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(UnsuitableOutput, match="cannot be written"):
        write_checkpoint(closed / "checkpoint.pt", {})


def test_a_file_in_the_way_of_the_folder_is_a_sentence(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UnsuitableOutput, match="cannot be written"):
        write_checkpoint(tmp_path / "taken" / "checkpoint.pt", {})


OUT_OF_MEMORY = """
import dataclasses, resource, sys
from pathlib import Path
from T1T2TranslationLib.errors import DeviceFailure
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import read_datalist
from T1T2TranslationLib.training.dataset import Sampler, load_pairs
from T1T2TranslationLib.training.run import Run
from training_givens import SMALL

pairs = load_pairs(read_datalist(Path(sys.argv[1]), "t1n", "t2w"), SMALL, Preprocessing())
Run(SMALL, Sampler(pairs, SMALL, 0), Path(sys.argv[2]), device="cpu").step()  # all that is loaded late is loaded
greedy = dataclasses.replace(SMALL, patch=960, batch_size=16)
run = Run(greedy, Sampler(pairs, greedy, 0), Path(sys.argv[2]), device="cpu")
run.save()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    run.step()
except DeviceFailure as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by a Linux system call")
def test_memory_that_runs_out_is_a_sentence_and_the_checkpoint_stays(tmp_path):
    datalist = save_data(tmp_path)
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join(str(path) for path in (here, here.parents[1] / "T1T2Translation"))
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, str(datalist), str(tmp_path / "checkpoint.pt")],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "The memory of cpu is full; a step takes 16 patches of 960 voxels. Lower batch_size" in done.stdout, done.stderr
    assert (tmp_path / "checkpoint.pt").exists()


def test_memory_of_a_graphics_card_that_runs_out_is_the_same_sentence():
    with pytest.raises(DeviceFailure, match="memory of cpu is full"), plain_memory_errors(SMALL, CPU_FLOAT32):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
    with pytest.raises(RuntimeError, match="something else"), plain_memory_errors(SMALL, CPU_FLOAT32):
        raise RuntimeError("something else")


# ---- where it computes


def test_a_device_that_is_not_there_is_refused_by_name(a_run):
    if torch.cuda.is_available():
        pytest.skip("this machine has a graphics card")
    with pytest.raises(DeviceFailure, match="'cuda' does not work"):
        choose_hardware("cuda", a_run().network)
    assert choose_hardware("auto", a_run().network).torch_device.type in ("cpu", "mps")


def test_the_precision_of_a_cpu_does_not_depend_on_a_timed_trial(a_run, monkeypatch):
    network, chosen = a_run().network, set()
    for gain in (0.0, float("inf")):  # bf16 wins every trial, or none
        monkeypatch.setattr("T1T2TranslationLib.device._CPU_BF16_GAIN", gain)
        chosen.add(choose_hardware("cpu", network).dtype)
    assert len(chosen) == 1


def test_products_are_made_in_the_devices_precision():
    layer, image = torch.nn.Conv2d(1, 1, 3), torch.rand(1, 1, 8, 8)
    for dtype in (torch.float32, torch.bfloat16):
        with autocast(dataclasses.replace(CPU_FLOAT32, dtype=dtype)):
            assert layer(image).dtype == dtype


def test_the_ssim_loss_computes_where_its_images_are():
    images = torch.empty(2, 1, 32, 32, device="meta")  # a device without memory, which refuses a mixture with the CPU
    assert losses.ssim_loss(images, images, images).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA graphics card here")
def test_a_graphics_card_trains_and_its_checkpoint_is_gone_on_from(pairs, tmp_path):
    runs = [Run(SMALL, Sampler(pairs, SMALL, 0), tmp_path / "checkpoint.pt", device="cuda") for _ in range(2)]
    first = runs[0].step()
    runs[0].finish()
    assert runs[0].steps == SMALL.steps
    assert runs[0].step()["mae"] < first["mae"]
    runs[1].resume()
    assert runs[1].steps == SMALL.steps
    assert next(runs[1].average.parameters()).is_cuda


def test_a_checkpoint_can_be_read_without_executing_code(a_run):
    run = a_run(steps=1)
    run.finish()
    state = torch.load(run.checkpoint, weights_only=True)
    assert state["steps"] == 1
    assert json.loads(json.dumps(state["recipe"]))["seed"] == SMALL.seed
