"""How typical records are: the density of the wanted class and of everybody, fitted to training people by EM.

In: a cohort. Out: density.json and population.json, which the runtime reads. Holds no row.
"""

from sensecf_edge.lazy import lazily

__getattr__ = lazily(__name__, {"fit": "fitting", "kept": "fitting", "packed": "fitting", "foretold": "fitting", "folds_of": "fitting"})
