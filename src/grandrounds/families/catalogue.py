"""The families that come with grandrounds."""

from __future__ import annotations

from grandrounds.families.protocol import FamilyEntry

_PARAMS = "grandrounds.families.params:"
_NETWORK = "grandrounds.families.network:"

CATALOGUE: tuple[FamilyEntry, ...] = (
    FamilyEntry(
        name="prior",
        kind="floor",
        summary="how often each class occurs in training; looks at nothing",
        build="grandrounds.families.prior:PriorFamily",
        params=_PARAMS + "PriorParams",
        fitted="grandrounds.families.prior:FittedPrior",
        reference="the floor that every classifier must beat",
    ),
    FamilyEntry(
        name="metadata",
        kind="floor",
        summary="logistic regression on clinical columns; never sees a pixel",
        build="grandrounds.families.metadata:MetadataFamily",
        params=_PARAMS + "MetadataParams",
        fitted="grandrounds.families.metadata:FittedMetadata",
        reference="what age, sex and the like already tell",
    ),
    FamilyEntry(
        name="thumbnail",
        kind="floor",
        summary="logistic regression on 8×8 grey values",
        build="grandrounds.families.thumbnail:ThumbnailFamily",
        params=_PARAMS + "ThumbnailParams",
        fitted="grandrounds.families.thumbnail:FittedThumbnail",
        reference="what brightness and coarse layout already tell",
    ),
    FamilyEntry(
        name="lbp-svm",
        kind="handcrafted",
        summary="local binary patterns at three resolutions and a support vector machine",
        build="grandrounds.families.lbp_svm:LbpSvmFamily",
        params=_PARAMS + "LbpSvmParams",
        fitted="grandrounds.families.lbp_svm:FittedLbpSvm",
        reference="Ojala, Pietikäinen, Mäenpää, IEEE TPAMI 2002; Cortes, Vapnik, Machine Learning 1995",
        requires=("torch",),
    ),
    FamilyEntry(
        name="li2014",
        kind="cnn",
        summary="one 7×7 convolution and three dense layers, made for patches of lung texture",
        params=_PARAMS + "Li2014Params",
        reference="Li, Cai, Wang, Zhou, Feng, Chen, ICARCV 2014",
        requires=("torch",),
        build=_NETWORK + "NetworkFamily",
        fitted=_NETWORK + "FittedNetwork",
        iterates=True,
    ),
    FamilyEntry(
        name="resnet-18",
        kind="resnet",
        summary="residual network of 18 layers, a quarter as wide by default, with a 3×3 stem for small images",
        params=_PARAMS + "ResNetParams",
        reference="He, Zhang, Ren, Sun, CVPR 2016",
        requires=("torch", "timm"),
        build=_NETWORK + "NetworkFamily",
        fitted=_NETWORK + "FittedNetwork",
        iterates=True,
    ),
    FamilyEntry(
        name="vit-tiny",
        kind="transformer",
        summary="small vision transformer whose patches fit the image",
        params=_PARAMS + "ViTParams",
        reference="Dosovitskiy et al., ICLR 2021",
        requires=("torch", "timm"),
        build=_NETWORK + "NetworkFamily",
        fitted=_NETWORK + "FittedNetwork",
        iterates=True,
    ),
)
