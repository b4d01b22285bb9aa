"""A model folder opened safely: the manifest parsed, every file held against it, and only then anything built.

In: a shipped model's name or a folder. Out: a `Bundle` with schema, density and the very bytes that were hashed. Does not run its
models, and does not say who made them.
"""
