"""How typical records are: the density of the wanted class and of everybody, fitted to training people by EM.

In: a cohort. Out: density.json, which the runtime reads. Holds no row.
"""
