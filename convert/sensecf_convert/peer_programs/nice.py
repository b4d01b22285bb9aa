"""Runs NICE (optimisation for sparsity) in its own environment: question.pickle in the given folder -> answer.npz.

Not imported by the project. The pickle was written a moment ago by the process that started this one.
"""

import pickle
import sys
import time
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
sys.path.pop(0)  # this file is called nice, too
from nice import NICE  # noqa: E402

question = pickle.loads((folder / "question.pickle").read_bytes())
model = question["model"]
nice = NICE(
    predict_fn=lambda X: model.predict_proba(X.astype(np.float32)),
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
