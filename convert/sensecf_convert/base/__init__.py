"""A generator from a given base model: a Llama or Mistral checkpoint tuned on the teacher's pairs, whole or by LoRA.

base = Base.open(path_or_hub_id)          everything that can be known to be wrong is said here
tuned = tune(base, schema, target, X, Y, p=p, how="lora", work=folder)
tuned.checkpoint, tuned.adapter           Hugging Face folders; `export` makes GGUF of them
"""

from .checkpoint import Base
from .tuning import Recipe, Tuned, tune

__all__ = ["Base", "Recipe", "Tuned", "tune"]
