"""Every number of the simulated HRCT: the range that is drawn from, its unit, and who published it.

The ranges were set from the literature and from two real CT volumes before any classifier read an image, and are
frozen. `source` is a key of `SOURCES`, or says that the number is our choice and why. Drawn uniformly: a range is all
that most of the papers give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "Huang 1996": "Huang W, Yen RT, McLaurine M, Bledsoe G. J Appl Physiol 1996; 81:2123-2133",
        "Riederer 1978": "Riederer SJ, Pelc NJ, Chesler DA. Phys Med Biol 1978; 23:446-454",
        "Brooks 1976": "Brooks RA, Di Chiro G. Med Phys 1976; 3:237-240",
        "Solomon 2012": "Solomon JB, Christianson O, Samei E. Med Phys 2012; 39:6048-6055",
        "Fromson 1988": "Fromson BH, Denison DM. Thorax 1988; 43:120-126",
        "Gevenois 1996": "Gevenois PA, De Vuyst P, Sy M, et al. Am J Respir Crit Care Med 1996; 154:187-192",
        "Matsuoka 2003": "Matsuoka S, Kurihara Y, Nakajima Y, et al. AJR 2003; 180:513-518",
        "Webb 2006": "Webb WR. Radiology 2006; 239:322-338",
        "Hansell 2008": "Hansell DM, Bankier AA, MacMahon H, et al. Radiology 2008; 246:697-722",
        "Lederer 2009": "Lederer DJ, Enright PL, Kawut SM, et al. Am J Respir Crit Care Med 2009; 180:407-414",
        "Depeursinge 2012": "Depeursinge A, Vargas A, Platon A, et al. Comput Med Imaging Graph 2012; 36:227-238",
        "Cuntz 2010": "Cuntz H, Forstner F, Borst A, Häusser M. PLoS Comput Biol 2010; 6:e1000877",
        "Cressoni 2013": "Cressoni M, Gallazzi E, Chiurazzi C, et al. Crit Care 2013; 17:R93",
        "Colombi 2020": "Colombi D, Bodini FC, Petrini M, et al. Radiology 2020; 296:E86-E96",
    }
)


@dataclass(frozen=True, slots=True)
class Range:
    """A number that the simulation draws, or a constant where low and high are equal.

    Args:
        low: Least value drawn.
        high: Greatest value drawn.
        unit: Unit, `""` for a bare number.
        what: What it is, in words.
        source: Key of `SOURCES`, or "our choice" with a reason.
        cited: The published range where it is wider than what is drawn.
    """

    low: float
    high: float
    unit: str
    what: str
    source: str
    cited: str = "as drawn"

    def draw(self, rng: np.random.Generator, effect: float = 1.0) -> float:
        """Return one value; an effect below 1 draws from that share of the range, around its middle."""
        return self.at(0.5 + effect * (float(rng.random()) - 0.5))

    def at(self, share: float) -> float:
        """Return the value a given share (0 … 1) of the way from low to high."""
        return self.low + share * (self.high - self.low)


def _constant(value: float, unit: str, what: str, source: str, cited: str = "as used") -> Range:
    return Range(value, value, unit, what, source, cited)


# Normal lung ---------------------------------------------------------------------------------------------------------
LUNG_HU = Range(
    -895, -825, "HU", "patient's mean of parenchyma between the vessels", "Fromson 1988",
    "sd 25 HU between healthy people of equal lung volume; normally aerated lung is -950 … -700 (Colombi 2020)",
)  # fmt: skip
GRADIENT_HU_PER_CM = Range(
    0.5, 2.0, "HU/cm", "rise of attenuation towards the back (supine)", "our choice: the direction is Cressoni 2013's",
)  # fmt: skip
TEXTURE_SD_HU = Range(14, 28, "HU", "sd of the parenchyma's own texture", "our choice: real CT, see the figure")
TEXTURE_SLOPE = Range(
    2.4, 3.2, "", "slope b of the texture's power spectrum f^-b", "our choice: real CT, see the figure",
)  # fmt: skip
LOBULE_MM = Range(10, 25, "mm", "diameter of a secondary lobule", "Webb 2006")
SEPTUM_HU = Range(
    8, 25, "HU", "contrast of a normal septum, 0.1 mm thin in a 1 mm section", "our choice: partial volume"
)

# Vessels and airways -------------------------------------------------------------------------------------------------
ROOT_ARTERY_MM = Range(
    7, 9.5, "mm", "diameter of the first artery", "our choice: what the middle of an adult lung takes"
)
TAPER = _constant(
    2.7, "", "exponent e of diameter against number of ends, d^e ~ n", "Huang 1996", "ratios 1.56 and 3.36 an order",
)  # fmt: skip
BALANCE = _constant(0.4, "", "weight of the way to the hilum against wire", "Cuntz 2010", "0 … 1")
N_BRANCHES = _constant(
    3500, "", "points joined by a tree, so that a lobule's artery has about 1 mm", "Webb 2006", "1 mm",
)  # fmt: skip
VESSEL_HU = _constant(40, "HU", "blood without contrast medium", "our choice: textbook value")
BRONCHUS_RATIO = Range(0.60, 0.75, "", "inner diameter of a bronchus over its artery's diameter", "Matsuoka 2003")
BRONCHUS_WALL = Range(0.15, 0.25, "", "wall thickness over outer diameter", "Matsuoka 2003")
LEAST_BRONCHUS_MM = _constant(1.5, "mm", "thinner bronchi are not drawn: they are invisible", "Webb 2006", "1.5 … 2 mm")
BRONCHUS_WALL_HU = _constant(20, "HU", "wall of a bronchus", "our choice: soft tissue")
AIR_HU = _constant(-1000, "HU", "air", "our choice: definition of the scale")

# Emphysema -----------------------------------------------------------------------------------------------------------
EMPHYSEMA_HU = Range(-990, -965, "HU", "inside a lucency", "Gevenois 1996", "below -950")
EMPHYSEMA_FRACTION = Range(0.30, 0.70, "", "area share of the lucencies", "our choice: moderate to confluent")
EMPHYSEMA_SCALE_MM = Range(
    1.6, 3.6, "mm", "correlation length of the lucencies", "our choice: some mm, no walls (Hansell 2008)",
)  # fmt: skip

# Ground glass --------------------------------------------------------------------------------------------------------
GROUND_GLASS_HU = Range(
    -700, -480, "HU", "mean of hazy lung; vessels stay visible", "Lederer 2009",
    "high-attenuation area -600 … -250; above the -700 of aerated lung (Colombi 2020)",
)  # fmt: skip
GROUND_GLASS_SCALE_MM = Range(6, 14, "mm", "correlation length of its density", "our choice: lobular")
GROUND_GLASS_SD_HU = Range(25, 60, "HU", "sd of its density at that scale", "our choice: visibly uneven")

# Fibrosis ------------------------------------------------------------------------------------------------------------
FIBROSIS_MATRIX_HU = Range(-780, -640, "HU", "lung between the lines", "our choice: between aerated lung and haze")
RETICULAR_MESH_MM = Range(4, 8, "mm", "mesh of intralobular lines", "our choice: finer than a lobule (Webb 2006)")
RETICULAR_LINE_MM = Range(0.9, 1.8, "mm", "thickness of a line", "our choice: visible in a 1 mm section")
RETICULAR_HU = Range(-350, -120, "HU", "on a line", "our choice: soft tissue, partial volume")
CYST_MM = Range(4, 9, "mm", "diameter of honeycomb cysts", "Hansell 2008", "3 … 10, at times 25")
CYST_WALL_MM = Range(1.0, 2.2, "mm", "thickness of their walls", "Hansell 2008", "1 … 3, well defined")
CYST_HU = Range(-970, -900, "HU", "inside a cyst", "our choice: air with partial volume")
CYST_WALL_HU = Range(-300, -100, "HU", "on a wall", "our choice: soft tissue, partial volume")
HONEYCOMB_DEPTH_MM = Range(
    6, 22, "mm", "honeycombing lies within this distance of the pleura", "our choice: subpleural (Hansell 2008)"
)

# Micronodules --------------------------------------------------------------------------------------------------------
NODULE_MM = Range(1.4, 3.0, "mm", "diameter of a micronodule", "Hansell 2008", "below 3")
NODULES_PER_CM2 = Range(2.0, 5.0, "1/cm2", "micronodules seen in a section", "our choice: moderate to profuse")
NODULE_HU = Range(-350, -50, "HU", "centre of a nodule before blurring", "our choice: soft tissue, partial volume")

# Consolidation: in chests for training lung masks alone, never in the labelled set ------------------------------------
CONSOLIDATION_HU = Range(
    0, 60, "HU", "mean of airless lung, in which vessels are lost and bronchi stay open",
    "our choice: soft tissue (Hansell 2008)",
)  # fmt: skip
CONSOLIDATION_SD_HU = Range(8, 20, "HU", "sd of its density at its scale", "our choice: soft tissue")

# Scanner -------------------------------------------------------------------------------------------------------------
SECTION_MM = _constant(1.25, "mm", "section thickness", "Depeursinge 2012", "1 … 2")
SPACING_MM = _constant(10, "mm", "distance of sections", "Depeursinge 2012", "10 … 15")
PIXEL_MM = Range(0.62, 0.74, "mm", "pixel spacing", "Depeursinge 2012", "0.4 … 1")
SOFT_MTF50_PER_MM = Range(
    0.26, 0.34, "1/mm", "frequency where a soft kernel's MTF is one half",
    "our choice: real CT, steepness of the spectrum in the figure",
)  # fmt: skip
SHARP_MTF50_PER_MM = Range(
    0.52, 0.66, "1/mm", "the same of a sharp kernel", "our choice: kernels differ (Solomon 2012)"
)
SHARP_BOOST = Range(
    0.10, 0.30, "", "a sharp kernel's overshoot of the MTF", "our choice: edge enhancement is a lung kernel's"
)
SOFT_NOISE_HU = _constant(12, "HU", "noise sd in lung at full dose, soft kernel", "our choice: real CT, see the figure")
SHARP_NOISE_HU = _constant(
    32, "HU", "noise sd in lung at full dose, sharp kernel", "our choice: grain visible in lung window"
)
DOSE = Range(0.35, 1.3, "", "dose relative to full dose; noise sd goes with its root", "Brooks 1976")
