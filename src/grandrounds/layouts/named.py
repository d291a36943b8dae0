"""Sets that are asked for by name: fetched or computed into a cache folder, then opened like any other."""

from __future__ import annotations

import importlib
from pathlib import Path

from grandrounds import registry
from grandrounds.data.draft import Draft
from grandrounds.data.options import SourceOptions
from grandrounds.errors import BadData
from grandrounds.layouts import npz, simulated


def medmnist(name: str, options: SourceOptions, cache: Path) -> Draft:
    """Return the draft of a MedMNIST archive, fetched through the `medmnist` package where it is not there yet.

    Raises:
        MissingExtra: The package is not installed.
        BadData: The archive cannot be fetched, for example because there is no network.
    """
    folder = cache / "medmnist"
    if not (folder / f"{name}.npz").is_file():
        info = registry.load("medmnist:INFO", requires=("medmnist",), wanted_by=f"fetching {name}")[name]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            getattr(importlib.import_module("medmnist"), info["python_class"])(
                split="train", download=True, root=str(folder)
            )
        except Exception as error:  # noqa: BLE001  (whatever a download may meet)
            raise BadData(
                f"{name} could not be fetched ({type(error).__name__})",
                where=folder,
                remedy=f"download {info['url']} and put it there, or open the downloaded file by its path",
            ) from None
    return npz.draft(folder / f"{name}.npz", options)


def simulated_hrct(name: str, options: SourceOptions, cache: Path) -> Draft:
    """Return the draft of the simulated chest CT, computed into the cache once."""
    del name
    return simulated.draft(cache, options.hrct, options.patches)
