"""A model folder opened safely: the manifest parsed, every file held against it, and only then anything built.

In: a shipped model's name or a folder. Out: a `Bundle` with schema, density and the very bytes that were hashed. Does not run its
models, and leaves who made them to a signature, where one is asked for.
"""

from ..lazy import lazily

__getattr__ = lazily(__name__, {
    "Bundle": "bundle", "Sample": "bundle", "find": "bundle", "read_manifest": "bundle", "write_manifest": "bundle",
    "Manifest": "manifest", "Target": "manifest",
})
