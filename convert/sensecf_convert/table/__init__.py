"""A table on disk becomes a cohort: people coded by a schema, split by person, and questioned before anything is fitted.

In: a table, its target column, perhaps a schema. Out: a `Cohort`, a draft of a schema, fitted relations; refusals and warnings of what
would make every figure worthless. Fits no model.
"""
