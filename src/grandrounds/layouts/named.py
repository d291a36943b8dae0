"""Sets that are asked for by name: fetched or computed into a cache folder, then opened like any other."""

from __future__ import annotations

import tempfile
from pathlib import Path

from grandrounds import registry
from grandrounds.data.draft import Draft
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData
from grandrounds.layouts import npz, simulated, simulated_knee


def medmnist(name: str, options: SourceOptions, cache: Path) -> Draft:
    """Return the draft of a MedMNIST archive, fetched from where the `medmnist` package says if it is not there yet.

    A name may end in a size, as in `breastmnist_224`; without one it means 28 pixels.

    Raises:
        MissingExtra: The package is not installed.
        BadData: The archive cannot be fetched, for example because there is no network.
    """
    archive = cache / "medmnist" / f"{name}.npz"
    if not archive.is_file():
        _fetch(name, archive)
    npz.unpack_large(archive)
    return npz.draft(archive, options)


def _fetch(name: str, archive: Path) -> None:
    """Put an archive into its place if what arrives has the published MD5, and nothing otherwise."""
    plain, _, size_px = name.partition("_")
    info = registry.load("medmnist:INFO", requires=("medmnist",), wanted_by=f"fetching {name}")[plain]
    ending = f"_{size_px}" if size_px else ""
    # The package's own way reads all images into memory, 13 GB of the largest set.
    download = registry.load("torchvision.datasets.utils:download_url", requires=("torchvision",))
    archive.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent) as arriving:
            download(info[f"url{ending}"], root=arriving, filename=archive.name, md5=info[f"MD5{ending}"])
            (Path(arriving) / archive.name).replace(archive)
    except Exception as error:  # noqa: BLE001  (whatever a download may meet)
        raise BadData(
            f"{name} could not be fetched ({type(error).__name__})",
            where=archive.parent,
            remedy=f"download {info[f'url{ending}']} and put it there, or open the downloaded file by its path",
        ) from None


def simulated_hrct(name: str, options: SourceOptions, cache: Path) -> Draft:
    """Return the draft of the simulated chest CT, computed into the cache once."""
    del name
    return simulated.draft(cache, options.hrct, options.patches)


def knees(name: str, options: SourceOptions, cache: Path) -> Draft:
    """Return the draft of the simulated knees, computed into the cache once."""
    del name
    return simulated_knee.draft(cache, options)
