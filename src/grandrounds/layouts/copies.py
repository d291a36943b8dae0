"""Synthetic copies of layouts: a few images of nobody, laid out as the real set is, with everything odd about it.

They show how a folder has to look, and let tests and documentation run without the real thing. Pixels are noise. A
writer takes an empty folder, writes the copy into it, and returns the place that a user would open. It also records, by
`truth.record`, what it wrote: samples, pixels, spacing, labels; one test reads every copy back and compares. A copy is
odd but whole: every image in it can be used. A layout that comes in several forms has a writer for each, under the
layout's name and the form's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from grandrounds.data.options import SourceOptions
from grandrounds.layouts.copies_bids import write_bids
from grandrounds.layouts.copies_cov19_ct_db import write_cov19_ct_db
from grandrounds.layouts.copies_covid_ct import write_covid_ct
from grandrounds.layouts.copies_covid_ctset import write_covid_ctset, write_covid_ctset_folds
from grandrounds.layouts.copies_general import write_folder, write_medmnist, write_medmnist_3d, write_table
from grandrounds.layouts.copies_geneva import write_geneva, write_geneva_volumes, write_talisman
from grandrounds.layouts.copies_glas import write_glas
from grandrounds.layouts.copies_lidc import write_lidc
from grandrounds.layouts.copies_mrnet import write_mrnet
from grandrounds.layouts.copies_nnunet import write_nnunet, write_nnunet_masks

COPIES: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {
        "folder": write_folder,
        "table": write_table,
        "medmnist": write_medmnist,
        "medmnist-3d": write_medmnist_3d,
        "geneva-ild": write_geneva,
        "geneva-ild-volumes": write_geneva_volumes,
        "geneva-ild-talisman": write_talisman,
        "mrnet": write_mrnet,
        "glas": write_glas,
        "covid-ct": write_covid_ct,
        "covid-ctset": write_covid_ctset,
        "covid-ctset-folds": write_covid_ctset_folds,
        "cov19-ct-db": write_cov19_ct_db,
        "lidc": write_lidc,
        "bids": write_bids,
        "nnunet": write_nnunet,
        "nnunet-masks": write_nnunet_masks,
    }
)

OPTIONS: Mapping[str, SourceOptions] = MappingProxyType({"mrnet": SourceOptions(task="acl")})
"""What has to be said to open a copy, where looking does not tell; nothing for the others."""
