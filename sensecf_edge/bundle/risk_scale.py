"""At which base rate a bundle's scores are told as risks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .manifest import Manifest
from ..answer.risk import REQUEST, SCHEMA, TRAINING, RiskScale, logit


def scale_of(manifest: Manifest, stated: float | None = None, asked: float | None = None) -> RiskScale:
    """The bundle's scale at the base rate that was `asked` for, else the one `stated` by the schema, else the training people's.

    A manifest without `risk` is of a version that did not measure it: its own kinds of classifier weigh both classes
    alike, and one that was brought along is taken at its word.
    """
    scale = manifest.risk or _before_risk(manifest)
    if asked is not None:
        return scale.at(asked, REQUEST)
    return scale if stated is None else scale.at(stated, SCHEMA)


def _before_risk(manifest: Manifest) -> RiskScale:
    share = manifest.classifier.wanted_share
    if share is None or not 0 < share < 1:
        return RiskScale()
    intercept = 0.0 if manifest.classifier.class_weights == "as brought" else logit(1 - share)
    return RiskScale(intercept, 1.0, 1 - share, TRAINING)
