"""A model is loaded as it was saved, or refused in one sentence; its file runs no code."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import zipfile

import pytest
import torch
from givens import save_untrained_model
from T1T2TranslationLib.catalog import METADATA, WEIGHTS
from T1T2TranslationLib.errors import UnsuitableModel
from T1T2TranslationLib.model import INFERENCE, load_model, save_model
from T1T2TranslationLib.network import TranslationNetwork
from T1T2TranslationLib.preprocessing import Preprocessing


@pytest.fixture
def a_bundle(tmp_path):
    torch.manual_seed(3)
    return save_untrained_model(tmp_path / "small")


def edit_json(path, edit):
    table = json.loads(path.read_text())
    edit(table)
    path.write_text(json.dumps(table))


def publish(bundle, content: bytes):
    """Replace the weights by somebody who also knows how to write their hash."""
    (bundle / WEIGHTS).write_bytes(content)
    edit_json(bundle / METADATA, lambda table: table["t1t2"].update(weights_sha256=hashlib.sha256(content).hexdigest()))


def refused(bundle, said: str) -> None:
    with pytest.raises(UnsuitableModel, match=said) as error:
        load_model(bundle)
    assert "'small'" in error.value.message
    assert error.value.remedy
    assert "\n" not in error.value.message


def test_a_model_is_loaded_as_it_was_saved_to_half_precision(tmp_path, a_bundle):
    network = TranslationNetwork("fcn8s", 3, (4, 4, 4, 4, 4))
    preprocessing = Preprocessing(context_planes=3, step_mm=1.1)
    metadata = json.loads((a_bundle / METADATA).read_text())
    metadata["t1t2"]["error_factor"] = 1.5
    save_model(tmp_path / "other", network, preprocessing, metadata)
    model = load_model(tmp_path / "other")
    assert model.preprocessing == preprocessing
    assert model.network.config == network.config
    assert model.error_factor == 1.5
    assert not model.network.training
    for name, saved in network.state_dict().items():
        loaded = model.network.state_dict()[name]
        assert loaded.dtype == torch.float32
        torch.testing.assert_close(loaded, saved.half().float(), rtol=0, atol=0)


def test_a_name_a_folder_and_a_string_lead_to_the_same_model(a_bundle, monkeypatch):
    monkeypatch.setenv("T1T2_MODELS", str(a_bundle.parent))
    assert load_model("small").card == load_model(a_bundle).card == load_model(str(a_bundle)).card


def test_a_model_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UnsuitableModel, match=r"no model 't2_to_t9'; available: .*t1_to_t2"):
        load_model("t2_to_t9")


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_altered_byte_is_noticed(a_bundle, place):
    content = bytearray((a_bundle / WEIGHTS).read_bytes())
    content[place] ^= 1
    (a_bundle / WEIGHTS).write_bytes(content)
    refused(a_bundle, "not the file that was published")


@pytest.mark.faults("hostile models")
def test_a_truncated_file_is_noticed(a_bundle):
    (a_bundle / WEIGHTS).write_bytes((a_bundle / WEIGHTS).read_bytes()[:-1000])
    refused(a_bundle, "not the file that was published")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize("form", ["pickle", "torch", "zip"])
def test_code_in_a_weights_file_is_not_executed_even_where_its_hash_agrees(tmp_path, a_bundle, form):
    trace = tmp_path / "executed"
    buffer = io.BytesIO()
    if form == "pickle":
        pickle.dump(Payload(trace), buffer)
    elif form == "torch":
        torch.save({"weight": Payload(trace)}, buffer)
    else:
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(Payload(trace)))
            archive.writestr("archive/version", "3")
    publish(a_bundle, buffer.getvalue())
    refused(a_bundle, "not a plain table of numbers")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Payload(trace)))  # the payload is live
    assert trace.exists()


@pytest.mark.faults("hostile models", 66)
def test_damaged_files_whose_hash_agrees_are_refused_whatever_torch_makes_of_them(a_bundle):
    import numpy as np

    random = np.random.default_rng(0)
    content = (a_bundle / WEIGHTS).read_bytes()
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(3)}, buffer, _use_new_zipfile_serialization=False)
    mutants = [content[:100], content[: len(content) // 2], b"PK", b"\x80", b"not weights", buffer.getvalue()[:60]]
    for _ in range(60):
        mutant = bytearray(buffer.getvalue() if random.random() < 0.5 else content)
        for place in random.integers(0, min(len(mutant), 900), 3):
            mutant[place] = random.integers(256)
        mutants.append(bytes(mutant))
    survived = 0
    for mutant in mutants:
        publish(a_bundle, mutant)
        try:
            load_model(a_bundle)
            survived += 1
        except UnsuitableModel:
            pass
    assert survived < len(mutants) // 2


@pytest.mark.faults("hostile models")
def test_weights_of_another_network_are_refused(a_bundle):
    buffer = io.BytesIO()
    torch.save(TranslationNetwork(widths=(8, 8, 8, 8)).state_dict(), buffer)
    publish(a_bundle, buffer.getvalue())
    refused(a_bundle, "do not fit the network")


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize("content", [[1, 2], torch.ones(3), {"a": "b"}, None])
def test_a_table_that_is_no_state_of_a_network_is_refused(a_bundle, content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    publish(a_bundle, buffer.getvalue())
    refused(a_bundle, "do not fit the network")


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda table: table["network_def"].update(preset="resnet"), "one of unet, fcn8s"),
        (lambda table: table["network_def"].update(widths=[10**9] * 4), "from 1 to 1024"),
        (lambda table: table["network_def"].update(widths=None), "does not know"),
        (lambda table: table["network_def"].update(depth=3), "depth"),
        (lambda table: table["network_def"].update(context_planes=3), "reads 3 planes, its preprocessing gives 5"),
        (lambda table: table.update(network_def=[1]), "does not know"),
        (lambda table: table.pop("network_def"), "network_def"),
    ],
)
def test_a_description_that_is_no_network_is_refused(a_bundle, edit, said):
    edit_json(a_bundle / INFERENCE, edit)
    refused(a_bundle, said)


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda block: block.pop("preprocessing"), "preprocessing"),
        (lambda block: block["preprocessing"].update(step_mm=0), "make no sense"),
        (lambda block: block["preprocessing"].update(ceiling="high"), "does not know"),
        (lambda block: block["preprocessing"].update(histogram=True), "histogram"),
        (lambda block: block.update(error_factor="much"), "much"),
        (lambda block: block.update(error_factor=-1), "positive number"),
        (lambda block: block.update(error_factor=10**400), "too large"),
    ],
)
def test_a_preprocessing_that_makes_no_sense_is_refused(a_bundle, edit, said):
    edit_json(a_bundle / METADATA, lambda table: edit(table["t1t2"]))
    refused(a_bundle, said)


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize("part", [METADATA, INFERENCE, WEIGHTS])
def test_a_missing_part_is_named(a_bundle, part):
    (a_bundle / part).unlink()
    refused(a_bundle, f"its {part} is missing")


@pytest.mark.faults("hostile models")
@pytest.mark.parametrize("content", ["{", "[1, 2]", "\udcff", "[" * 100_000])
def test_a_description_that_is_no_json_is_refused(a_bundle, content):
    (a_bundle / INFERENCE).write_bytes(content.encode("utf-8", "surrogateescape"))
    refused(a_bundle, "does not know")


def test_a_bundle_works_wherever_it_is_copied(tmp_path, a_bundle):
    shutil.copytree(a_bundle, tmp_path / "elsewhere" / "small")
    assert load_model(tmp_path / "elsewhere" / "small").card.sha256 == load_model(a_bundle).card.sha256
