"""The tests that the module brings into Slicer run here too, and what it registers there is complete."""

from __future__ import annotations

import importlib.metadata
import unittest

import pytest


def test_the_self_tests_pass(module):
    module.T1T2TranslationTest().runTest()


def test_what_needs_pytorch_is_skipped_visibly_without_it(module, monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(module.T1T2TranslationTest).run(result)
    assert result.wasSuccessful()
    assert len(result.skipped) == 1
    assert result.testsRun > 2
    assert "not installed" in result.skipped[0][1]


def test_a_failing_self_test_is_not_passed_over(module, monkeypatch):
    monkeypatch.setattr(module.T1T2TranslationLogic, "showTranslation", lambda *arguments: None)
    with pytest.raises(AssertionError, match="tests failed"):
        module.T1T2TranslationTest().runTest()


def test_the_sample_data_is_registered_with_checksums(module):
    from Host.modules import registered_sample_data

    names = [source["sampleName"] for source in registered_sample_data]
    assert names == ["T1Head", "T1T2Pair"]
    for source in registered_sample_data:
        for uri, checksum in zip(source["uris"], source["checksums"], strict=True):
            assert uri.startswith("https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/")
            assert uri.endswith(checksum.removeprefix("SHA256:"))
        assert source["thumbnailFileName"].endswith("Resources/Icons/T1T2Translation.png")
