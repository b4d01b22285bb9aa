"""Models in other formats: checkpoints and adapters to GGUF, GGUF to smaller GGUF, by llama.cpp's own converters.

In: a checkpoint folder or a GGUF. Out: a GGUF, whole or not at all, and how far its distributions moved. What that costs a bundle is
measured in `evaluate`.
"""
