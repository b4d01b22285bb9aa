"""Runs NICE as `nice.py` does, but on the bundle's ONNX classifier: the question's `model` is the graph as
bytes and the column of the wanted class.

Not imported by the project. The pickle was written a moment ago by the process that started this one.
"""

import pickle
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
sys.path.pop(0)  # nice.py beside this file would be found first
from nice import NICE  # noqa: E402

question = pickle.loads((folder / "question.pickle").read_bytes())
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model, column = question["model"]
graph = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
given, wanted = graph.get_inputs()[0].name, next(o.name for o in graph.get_outputs() if len(o.shape) == 2)


def predict(X):
    """Probabilities of the unwanted and the wanted class, in the order of the labels 0 and 1."""
    p = graph.run([wanted], {given: X.astype(np.float32)})[0][:, column]
    return np.stack([1 - p, p], axis=1)


nice = NICE(
    predict_fn=predict,
    X_train=question["X"],
    cat_feat=question["choices"],
    y_train=question["y"].astype(int),
    optimization="sparsity",
    justified_cf=True,
)
Y, seconds = [], []
for record in question["records"]:
    began = time.perf_counter()
    Y.append(nice.explain(record[None, :].copy())[0])
    seconds.append(time.perf_counter() - began)
np.savez(folder / "answer.npz", Y=np.array(Y), seconds=np.array(seconds))
