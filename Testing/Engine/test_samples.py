"""What comes along to try the program with is what it claims to be."""

from __future__ import annotations

import numpy as np
from T1T2TranslationLib import samples
from T1T2TranslationLib.checks import check_input
from T1T2TranslationLib.head import find_head


def test_the_phantom_passes_the_input_checks():
    phantom = samples.phantom()
    checks = check_input(phantom, find_head(phantom))
    assert "red" not in {check.level for check in checks}


def test_the_phantom_is_always_the_same_on_one_tilted_grid():
    t1, t2 = samples.phantom("T1"), samples.phantom("T2")
    np.testing.assert_array_equal(t1.array, samples.phantom().array)
    assert t1.has_grid_of(t2)
    assert np.abs(t1.affine[1, 2]) > 0.1
    assert (t1.array != t2.array).any()


def test_the_phantoms_translation_lies_on_the_grid_of_its_input():
    phantom = samples.phantom()
    translation = samples.phantom_translation(phantom, with_reference=True)
    for volume in (translation.synthetic, translation.predicted_error, translation.comparison.signed_error):
        assert volume.has_grid_of(phantom)
        assert volume.array.dtype == np.int16


def test_every_download_has_as_many_names_as_addresses_and_checksums():
    for source in samples.sources("https://example.org/"):
        assert len(source["uris"]) == len(source["checksums"]) == len(source["fileNames"]) == len(source["nodeNames"])
        assert all(len(checksum) == len("SHA256:") + 64 for checksum in source["checksums"])
        assert source["uris"][0] == "https://example.org/" + source["checksums"][0].replace(":", "/")
