"""A classifier made elsewhere, looked through and fitted in: an ONNX graph, or a model that skops saved.

In: its file and a schema. Out: a graph in the form a bundle takes, or why it cannot be had. Nothing is unpickled.
"""
