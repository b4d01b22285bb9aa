"""A generator from a given base model: a Llama or Mistral checkpoint tuned on the teacher's pairs, whole or by LoRA.

In: a checkpoint folder or a hub id, and pairs. Out: a tuned checkpoint or an adapter. Whatever would make that fail is looked for before
anything long begins.
"""
