"""Models in other formats: checkpoints and adapters to GGUF, GGUF quantized and measured, classifiers to ONNX."""
