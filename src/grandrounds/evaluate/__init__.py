"""The judge: from the predictions table to scores, comparisons, curves and a verdict; no model, no pixel.

`judge.judge` does all of it; `verdict.verdict` puts it into words; `intake.intake` reads predictions that somebody
else's program wrote. Importing this package imports only the catalogue of metrics.
"""

from __future__ import annotations

from grandrounds.evaluate.catalogue import METRICS, MetricEntry

__all__ = ["METRICS", "MetricEntry"]
