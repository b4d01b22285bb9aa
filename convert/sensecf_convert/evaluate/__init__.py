"""What a bundle is worth on people that nothing was trained on.

In: a bundle and the table it was fitted on. Out: figures with their intervals, and tables of them in words. Chooses nothing: what was
measured here changes no model.
"""

from sensecf_edge.lazy import lazily

__getattr__ = lazily(__name__, {
    "Figures": "figures", "evaluate": "measure", "measure_bundle": "measure", "vector": "measure",
})
