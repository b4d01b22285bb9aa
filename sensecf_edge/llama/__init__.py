"""The door to llama.cpp, the only package that knows it: prompts and grammars in, proposals out, many records in one batch.

In: a GGUF file whose hash held, and requests of `propose.engine`. Out: their proposals, token by token inside the grammar. Does not
know what a record is, and judges nothing.
"""
