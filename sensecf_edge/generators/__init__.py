"""Which generator proposes: `--generator TEXT` -> an engine, and how it is spoken to. All of them keep one protocol, `propose/engine.py`.

In: the text, a bundle. Out: an engine and how its prompts are written. A bundle's own generator, any GGUF, the weights of a package
that carries some, none at all, or a server that was named. Judges nothing: whatever an engine answers is held against grammar, rules and
classifier behind it.
"""
