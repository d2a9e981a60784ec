"""Training as processes: killed at any moment and resumed, and two that train one model together."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from T1T2TranslationLib.catalog import read_metadata
from T1T2TranslationLib.model import load_model
from training_givens import SMALL_TOML, save_aligned_data, train_in_a_process

HERE = Path(__file__).resolve().parent
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(str(path) for path in (HERE, HERE.parents[1] / "T1T2Translation")),
    "OMP_NUM_THREADS": "1",  # sums in one order, whatever else the machine does
}
TWO_PROCESSES = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def a_datalist(tmp_path_factory) -> Path:
    return save_aligned_data(tmp_path_factory.mktemp("data"))


def a_recipe(folder: Path, steps: int) -> Path:
    """The small recipe with a checkpoint after each step."""
    path = folder / "recipe.toml"
    path.write_text(SMALL_TOML.replace("steps = 20", f"steps = {steps}\ncheckpoint_minutes = 0"))
    return path


def weights(folder: Path) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in load_model(folder).network.parameters()])


def run(*command: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command], env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False, **options
    )


# ---- killed

# Processes forked from one that has imported everything: a kill costs its steps, not half a minute of importing.
WARM = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")


@pytest.fixture(scope="module", autouse=True)
def a_warm_process():
    """What forks must find the modules: Python 3.11's is not told the path of its parent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
        patch.setenv("OMP_NUM_THREADS", "1")
        WARM.set_forkserver_preload(["training_givens", "torch._dynamo"])  # the latter by the first step
        WARM.Process(target=int).start()
        yield


def training(arguments: list[object]) -> multiprocessing.process.BaseProcess:
    """A started process."""
    process = WARM.Process(target=train_in_a_process, args=([str(part) for part in arguments],))
    process.start()
    return process


def wait_for_a_checkpoint(is_alive: Callable[[], bool], checkpoint: Path) -> None:
    """Until a training has written a checkpoint of its own, or is over."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    while is_alive() and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("kills", "steps"),
    [
        (2, 12),
        pytest.param(20, 200, marks=[pytest.mark.slow, pytest.mark.faults("killed trainings", 20)]),
    ],
)
def test_a_training_killed_at_random_moments_ends_with_the_weights_of_one_left_in_peace(a_datalist, tmp_path, kills, steps):
    recipe = a_recipe(tmp_path, steps)
    peaceful = training([recipe, a_datalist, "-o", tmp_path / "peaceful", "--device", "cpu"])
    peaceful.join()
    assert peaceful.exitcode == 0
    arguments = [recipe, a_datalist, "-o", tmp_path / "killed", "--device", "cpu", "--resume"]
    moments = random.Random(20)
    for _ in range(kills):
        process = training(arguments)
        wait_for_a_checkpoint(process.is_alive, tmp_path / "killed" / "checkpoint.pt")
        time.sleep(moments.uniform(0, 0.05))
        assert process.is_alive()
        process.kill()
        process.join()
    resumed = training(arguments)
    resumed.join()
    assert resumed.exitcode == 0
    assert torch.equal(weights(tmp_path / "killed"), weights(tmp_path / "peaceful"))
    assert read_metadata(tmp_path / "killed")["t1t2"]["training"]["steps"] == steps
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    assert left - {"checkpoint.partial"} == {"configs", "models", "docs"}


# ---- together

TOGETHER = """
import copy, sys
from pathlib import Path
import torch
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import read_datalist
from T1T2TranslationLib.training.dataset import Sampler, load_pairs
from T1T2TranslationLib.training.losses import mae_loss
from T1T2TranslationLib.training.run import Run
from T1T2TranslationLib.training.team import joined_team
from training_givens import SMALL

def gradient(network, batch):
    mae_loss(network(batch.planes)[:, :1], batch.target, batch.weight).backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])

pairs = load_pairs(read_datalist(Path(sys.argv[1]), "t1n", "t2w"), SMALL, Preprocessing())
folder = Path(sys.argv[2])
with joined_team() as team:
    run = Run(SMALL, Sampler(pairs, SMALL, 0), folder / "checkpoint.pt", device="cpu", team=team)
    batch = run.batches.draw(0, 0.0)
    own = gradient(copy.deepcopy(run.network), batch)
    run.together.zero_grad()
    gradient(run.together, batch)
    averaged = torch.cat([parameter.grad.flatten() for parameter in run.network.parameters()])
    run.finish()
    kept = torch.cat([parameter.flatten() for parameter in run.average.parameters()])
    found = {"size": team.size, "own": own, "averaged": averaged, "weights": kept, "planes": batch.planes, "steps": run.steps}
    torch.save(found, folder / f"rank{team.rank}.pt")
"""


def test_two_processes_average_their_gradients_and_end_with_equal_weights(a_datalist, tmp_path):
    (tmp_path / "together.py").write_text(TOGETHER)
    done = run(*TWO_PROCESSES, tmp_path / "together.py", a_datalist, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["size"] == second["size"] == 2
    assert not torch.equal(first["planes"], second["planes"])  # each draws samples of its own
    assert not torch.allclose(first["own"], second["own"])
    torch.testing.assert_close(first["averaged"], (first["own"] + second["own"]) / 2)
    assert torch.equal(first["averaged"], second["averaged"])
    assert first["steps"] == second["steps"] == 20
    assert torch.equal(first["weights"], second["weights"])


ONE_BAD_SAMPLE = """
import sys
from pathlib import Path
from T1T2TranslationLib.errors import UnsuitableTrainingData
from T1T2TranslationLib.preprocessing import Preprocessing
from T1T2TranslationLib.subjects import read_datalist
from T1T2TranslationLib.training.dataset import Sampler, load_pairs
from T1T2TranslationLib.training.run import Run
from T1T2TranslationLib.training.team import joined_team
from training_givens import SMALL

pairs = load_pairs(read_datalist(Path(sys.argv[1]), "t1n", "t2w"), SMALL, Preprocessing())
folder = Path(sys.argv[2])
with joined_team() as team:
    run = Run(SMALL, Sampler(pairs, SMALL, 0), folder / "checkpoint.pt", device="cpu", team=team)
    batch = run.batches.draw(0, 0.0)
    if team.rank == 1:
        batch.planes[2] = float("nan")
        batch = batch._replace(names=(*batch.names[:2], "the bad one", batch.names[3]))
    run.batches.draw = lambda step, painted_share: batch
    try:
        run.step()
    except UnsuitableTrainingData as error:
        (folder / f"rank{team.rank}.txt").write_text(error.message)
"""


def test_only_the_sample_that_is_no_number_is_named_by_whichever_process(a_datalist, tmp_path):
    (tmp_path / "bad.py").write_text(ONE_BAD_SAMPLE)
    done = run(*TWO_PROCESSES, tmp_path / "bad.py", a_datalist, tmp_path)
    assert done.returncode == 0, done.stderr
    said = {(tmp_path / f"rank{rank}.txt").read_text() for rank in (0, 1)}
    assert said == {"The loss is not a number at step 0, with the bad one."}


@pytest.mark.slow
def test_torchrun_trains_one_model_that_says_so_and_goes_on_from_its_checkpoint(a_datalist, tmp_path):
    recipe, folder = a_recipe(tmp_path, 12), tmp_path / "model"
    command = [*TWO_PROCESSES, "-m", "T1T2TranslationLib", "train", recipe, a_datalist, "-o", folder, "--device", "cpu"]
    process = subprocess.Popen(
        [*map(str, command), "--resume"], env=ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_for_a_checkpoint(lambda: process.poll() is None, folder / "checkpoint.pt")
    os.killpg(process.pid, signal.SIGKILL)  # with those that it started
    process.wait()
    assert not (folder / "models").exists()
    done = run(*command, "--resume")
    assert done.returncode == 0, done.stderr
    training = read_metadata(folder)["t1t2"]["training"]
    assert training["steps"] == 12
    assert training["hardware"].startswith("2 processes, each on a CPU")
    assert torch.isfinite(weights(folder)).all()
    assert done.stderr.count("The model is in") == 1


@pytest.mark.slow
def test_two_processes_end_together_by_the_clock_and_with_patients_held_out(a_datalist, tmp_path):
    recipe, folder = a_recipe(tmp_path, 12), tmp_path / "model"
    command = [*TWO_PROCESSES, "-m", "T1T2TranslationLib", "train", recipe, a_datalist, "-o", folder, "--device", "cpu"]
    done = run(*command, "--minutes", "0.02", "--fold", "1")
    assert done.returncode == 0, done.stderr
    training = read_metadata(folder)["t1t2"]["training"]
    assert training["minutes"] == pytest.approx(0.02, abs=0.02)
    assert list(training["held_out"]) == ["two"]


@pytest.mark.slow
def test_a_failure_of_one_process_ends_the_other_with_the_same_exit(a_datalist, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(SMALL_TOML.replace("learning_rate = 5e-3", "learning_rate = 1e30"))
    command = [*TWO_PROCESSES, "-m", "T1T2TranslationLib", "train", recipe, a_datalist, "-o", tmp_path / "model"]
    done = run(*command, "--device", "cpu")
    assert done.returncode != 0
    assert "t1t2: The loss is not a number at step" in done.stderr
