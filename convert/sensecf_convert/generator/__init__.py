"""A generator learnt from pairs: a small Llama from nothing, or a given checkpoint; then a round of practice.

In: pairs and a schema. Out: a GGUF, and what the card says of it. Is judged elsewhere: `evaluate` asks it about unseen people.
"""

from sensecf_edge.lazy import lazily

__getattr__ = lazily(__name__, {
    "Shape": "scratch.training", "Tuning": "scratch.training", "Trainer": "scratch.training", "new_model": "scratch.training",
    "load_weights": "scratch.training",
})
