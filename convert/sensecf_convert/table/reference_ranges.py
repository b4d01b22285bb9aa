"""The range that training people keep to, which advice keeps to as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sensecf_edge.errors import TableError
from sensecf_edge.schema.schema import Schema

from .cohort import Cohort


def with_references(schema: Schema, train: Cohort) -> Schema:
    """The schema with every number's reference range filled in where it states none: the 1 to 99 % range of the training
    rows, widened to the lattice. Advice stays inside it."""
    features = []
    for i, feature in enumerate(schema.features):
        known = train.X[:, i][~np.isnan(train.X[:, i])]
        if not known.size:
            raise TableError(f"{feature.name} is unknown in every training row; leave it out of the schema")
        if feature.kind == "number" and feature.reference is None:
            low, high = (feature.lattice[feature.nearest(q)] for q in np.quantile(known, [0.01, 0.99]))
            feature = replace(feature, reference=(float(low), float(high)))
        features.append(feature)
    return replace(schema, features=tuple(features))
