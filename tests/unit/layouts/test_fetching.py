"""Fetching a set by its name, from a stand-in of the archive's server on this machine."""

import functools
import hashlib
import http.server
import threading

import numpy as np
import pytest

from grandrounds.data import open_dataset
from grandrounds.errors import BadData

medmnist = pytest.importorskip("medmnist", reason="fetching needs the package medmnist")


@pytest.fixture
def server(tmp_path):
    """A web server on loopback that hands out one small archive, and the archive."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 12), ("val", 6), ("test", 8)):
        arrays[f"{part}_images"] = rng.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % 2)[:, None]
    place = tmp_path / "served"
    place.mkdir()
    np.savez(place / "breastmnist.npz", **arrays)
    np.savez(place / "breastmnist_64.npz", **{name: values[:4] for name, values in arrays.items()})
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=place)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/breastmnist.npz", place / "breastmnist.npz"
        running.shutdown()


def test_a_named_set_is_fetched_once_and_opened(server, tmp_path, monkeypatch):
    """The first call fetches and checks it, the second opens what is there."""
    address, archive = server
    info = medmnist.INFO["breastmnist"] | {"url": address, "MD5": hashlib.md5(archive.read_bytes()).hexdigest()}
    monkeypatch.setitem(medmnist.INFO, "breastmnist", info)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("urllib.request._opener", None)  # an earlier test may have left it a proxy

    first = open_dataset("breastmnist", cache=tmp_path / "cache")
    archive.unlink()
    again = open_dataset("breastmnist", cache=tmp_path / "cache")

    assert first.samples.height == 26
    assert again.fingerprint == first.fingerprint


def test_a_size_is_fetched_from_its_own_address(server, tmp_path, monkeypatch):
    """The name with a size is another archive with another address and checksum."""
    address, archive = server
    larger = archive.with_name("breastmnist_64.npz")
    there = {"url_64": address.replace(".npz", "_64.npz"), "MD5_64": hashlib.md5(larger.read_bytes()).hexdigest()}
    monkeypatch.setitem(medmnist.INFO, "breastmnist", medmnist.INFO["breastmnist"] | there)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("urllib.request._opener", None)

    dataset = open_dataset("breastmnist_64", cache=tmp_path / "cache")

    assert (dataset.name, dataset.samples.height) == ("breastmnist_64", 12)


def test_what_arrives_with_another_checksum_is_thrown_away(server, tmp_path, monkeypatch):
    """A download that is not the published archive is refused, and not found there the next time."""
    address, _ = server
    info = medmnist.INFO["breastmnist"] | {"url": address, "MD5": "0" * 32}
    monkeypatch.setitem(medmnist.INFO, "breastmnist", info)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("urllib.request._opener", None)

    with pytest.raises(BadData, match="could not be fetched"):
        open_dataset("breastmnist", cache=tmp_path / "cache")

    assert list((tmp_path / "cache" / "medmnist").iterdir()) == []
