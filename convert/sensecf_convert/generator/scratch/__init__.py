"""A small Llama trained from nothing, with a vocabulary of the schema's own.

In: pairs as token ids. Out: weights, and a float32 GGUF. Knows no words but those of the schema.
"""
