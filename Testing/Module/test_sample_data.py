"""The registered samples are fetched by Slicer's own download code, from a server on this machine that serves them by hash."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib
import threading

import pytest


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def a_server(tmp_path):
    """A web server and the folder that it serves."""
    folder = tmp_path / "served"
    (folder / "SHA256").mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


@pytest.fixture
def a_served_head(a_server, tmp_path, monkeypatch):
    """A phantom served under its hash, and registered as the only sample; its source and its file on the server."""
    from T1T2TranslationLib import samples
    from T1T2TranslationLib.io import write_volume

    url, folder = a_server
    write_volume(samples.phantom(), tmp_path / "head.nrrd")
    content = (tmp_path / "head.nrrd").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    served = folder / "SHA256" / digest
    served.write_bytes(content)
    monkeypatch.setattr(samples, "DOWNLOADS", {"T1Head": {"Head": digest}})
    (source,) = samples.sources(url)
    return source, served


def test_a_sample_is_downloaded_checked_and_loaded(slicer_host, module, a_served_head, tmp_path):
    import slicer

    source, _ = a_served_head
    target = tmp_path / source["fileNames"][0]
    assert slicer.util.downloadFile(source["uris"][0], str(target), checksum=source["checksums"][0])
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", source["nodeNames"][0])
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(target))
    assert storage.ReadData(node)
    samples = importlib.import_module("T1T2TranslationLib.samples")
    assert tuple(node.GetImageData().GetDimensions()) == samples.phantom().shape
    assert module.T1T2TranslationLogic().volumes(node)["volume"].name == "Head"


def test_a_sample_that_was_altered_on_the_way_is_refused(slicer_host, a_served_head, tmp_path):
    import slicer

    source, served = a_served_head
    served.write_bytes(served.read_bytes()[:-1] + b"x")
    assert not slicer.util.downloadFile(source["uris"][0], str(tmp_path / "downloaded.nrrd"), checksum=source["checksums"][0])
