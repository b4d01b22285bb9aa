"""Runs NICE (optimisation for sparsity) in its own environment: question.pickle in the given folder -> answer.npz.

The question's `model` is a scikit-learn pipeline, or an ONNX graph as bytes with the column of the wanted class; its
`clock` is a function of `time`, without one the wall's.

Not imported by the project. The pickle was written a moment ago by the process that started this one.
"""

import pickle
import sys
import time
from pathlib import Path

import numpy as np
from nice import NICE

folder = Path(sys.argv[1])


def from_onnx(graph, column):
    """Probabilities of the unwanted and the wanted class, in the order of the labels 0 and 1, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    given, wanted = session.get_inputs()[0].name, next(o.name for o in session.get_outputs() if len(o.shape) == 2)

    def predict(X):
        p = session.run([wanted], {given: X.astype(np.float32)})[0][:, column]
        return np.stack([1 - p, p], axis=1)

    return predict


question = pickle.loads((folder / "question.pickle").read_bytes())
model = question["model"]
nice = NICE(
    predict_fn=from_onnx(*model) if isinstance(model, tuple) else lambda X: model.predict_proba(X.astype(np.float32)),
    X_train=question["X"],
    cat_feat=question["choices"],
    y_train=question["y"].astype(int),
    optimization="sparsity",
    justified_cf=True,
)
Y, seconds = [], []
clock = getattr(time, question.get("clock", "perf_counter"))
for record in question["records"]:
    began = clock()
    Y.append(nice.explain(record[None, :].copy())[0])
    seconds.append(clock() - began)
np.savez(folder / "answer.npz", Y=np.array(Y), seconds=np.array(seconds))
