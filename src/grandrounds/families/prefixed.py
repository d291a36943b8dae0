"""Families whose name says what they are made of; the registry makes such an entry when it is asked for."""

from __future__ import annotations

from dataclasses import replace

from grandrounds.families.protocol import FamilyEntry

_PARAMS = "grandrounds.families.params:"
_OF_OTHERS = "grandrounds.families.params_of_others:"
_OF_MONAI = "grandrounds.families.params_of_monai:"
_AS_ITS_MEMBER = (2, 3)  # axes: a family of planes makes one that reads planes, one of volumes one that reads volumes
# What all families have that are one network each; most of them read volumes.
_NETWORK = FamilyEntry(
    name="",
    kind="by name",
    summary="",
    params="",
    reference="",
    build="grandrounds.families.network:NetworkFamily",
    fitted="grandrounds.families.network:FittedNetwork",
    iterates=True,
    dims=(3,),
)

PREFIXED: tuple[FamilyEntry, ...] = (
    FamilyEntry(
        name="ensemble:<family>",
        kind="committee",
        summary="several trainings of a family, each with a seed of its own, which decide by their mean",
        params=_OF_OTHERS + "CommitteeParams",
        reference="Lakshminarayanan, Pritzel, Blundell, NeurIPS 2017",
        build="grandrounds.families.committee:CommitteeFamily",
        fitted="grandrounds.families.committee:FittedCommittee",
        dims=_AS_ITS_MEMBER,
    ),
    FamilyEntry(
        name="folds:<family>",
        kind="committee",
        summary="trainings of a family that each leave out another fifth of the patients and decide by their mean",
        params=_OF_OTHERS + "FoldsParams",
        reference="Krogh, Vedelsby, NIPS 1994",
        build="grandrounds.families.committee:FoldsFamily",
        fitted="grandrounds.families.committee:FittedCommittee",
        dims=_AS_ITS_MEMBER,
    ),
    FamilyEntry(
        name="exams:<network>",
        kind="by name",
        summary="one network that reads the series of an exam as channels of one image, and says which are lacking",
        params=_OF_OTHERS + "ExamsParams",
        reference="joint training of the three planes: Azcona, McGuinness, Smeaton, arXiv 2010.01947",
        build="grandrounds.families.exams:ExamsFamily",
        fitted="grandrounds.families.exams:FittedExams",
        reads="case",
        dims=_AS_ITS_MEMBER,
    ),
    FamilyEntry(
        name="fusion:<family>",
        kind="by name",
        summary="a model of each series of an exam and of its clinical columns, weighed by a regression",
        params=_OF_OTHERS + "FusionParams",
        reference="Bien et al., PLoS Med 2018; Wolpert, Neural Networks 1992, on learning from words out of fold",
        build="grandrounds.families.fusion:FusionFamily",
        fitted="grandrounds.families.fusion:FittedFusion",
        reads="case",
        dims=_AS_ITS_MEMBER,
    ),
    replace(
        _NETWORK,
        name="monai:<model>",
        summary="a network of MONAI that reads whole volumes in three dimensions, from scratch",
        params=_OF_MONAI + "MonaiParams",
        reference="Cardoso et al., arXiv 2211.02701 (MONAI)",
        requires=("torch", "timm", "torchvision", "monai", "einops"),
    ),
    FamilyEntry(
        name="multitask:<network>",
        kind="by name",
        summary="one network with an output for each task of a study of several, trained on all of them at once",
        params="",  # here and below: those of the network
        reference="Caruana, Machine Learning 1997",
        build="",
        fitted="",
        learns_several=True,
        dims=_AS_ITS_MEMBER,
    ),
    replace(
        _NETWORK,
        name="slices:<network>",
        summary="a network of planes that reads the slices of a volume and decides by their greatest or mean feature",
        params=_OF_OTHERS + "SlicesParams",
        reference="Bien et al., PLoS Med 2018; attention: Ilse, Tomczak, Welling, ICML 2018",
    ),
    replace(
        _NETWORK,
        name="joint:<network>",
        summary="a network of planes that reads each series, joined with clinical columns; behind exams:",
        params=_OF_OTHERS + "JointParams",
        reference="Neverova et al., IEEE TPAMI 2016; attention: Ilse, Tomczak, Welling, ICML 2018",
    ),
    FamilyEntry(
        name="sweep:<family>",
        kind="by name",
        summary="a family at three learning rates, of which valid keeps one; they share the budget of one family",
        params=_OF_OTHERS + "SweepParams",
        reference="Cawley, Talbot, JMLR 2010, on choosing inside each fold",
        build="grandrounds.families.sweep:SweepFamily",
        fitted="",  # that of the family
        dims=_AS_ITS_MEMBER,
    ),
    replace(
        _NETWORK,
        name="timm:<model>",
        summary="any network of timm at its published size, from scratch, from its hub or from a safetensors file",
        params=_PARAMS + "TimmParams",
        reference="Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861",
        requires=("torch", "timm"),
        dims=(2,),
    ),
    replace(
        _NETWORK,
        name="transmed:<network>",
        summary="a network of planes that makes tokens of groups of slices, which a transformer weighs; behind exams:",
        params=_OF_OTHERS + "TransMedParams",
        reference="Dai, Gao, Liu, Diagnostics 2021",
    ),
    replace(
        _NETWORK,
        name="torchvision:<model>",
        summary="any classifier of torchvision at its published size, from scratch or from a safetensors file",
        params=_PARAMS + "TorchvisionParams",
        reference="torchvision, docs.pytorch.org/vision/stable/models.html",
        requires=("torch", "timm", "torchvision"),
        dims=(2,),
    ),
)
