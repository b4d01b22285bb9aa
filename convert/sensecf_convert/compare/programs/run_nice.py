"""NICE. It has no option for immutables or ranges: each record gets the training rows with what may not change put at the
record's own values, and the others brought to its limits. Rows keep their labels; NICE itself then asks the
classifier which of them are still in the wanted class. For its plausibility it wants an auto-encoder from its user: a small
one of scikit-learn's is fitted on the training rows.
"""

import sys
import warnings

import asked
import numpy as np
from nice import NICE


def auto_encoder(question):
    """A function from rows to their reconstruction error, shape (rows,): half as many units as columns, everything scaled to 0..1."""
    from sklearn.neural_network import MLPRegressor
    from sklearn.preprocessing import MinMaxScaler

    scaler = MinMaxScaler().fit(question.X)
    Z = scaler.transform(question.X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPRegressor(hidden_layer_sizes=(max(2, Z.shape[1] // 2),), max_iter=500, random_state=question.seed).fit(Z, Z)

    def error(X):
        Z = scaler.transform(question.filled(question.brought(X)))
        return ((net.predict(Z).reshape(Z.shape) - Z) ** 2).mean(axis=1)

    return error


def prepare(question, method):
    """See `asked.answer`."""
    classifier = asked.Classifier(question)
    kind = method.removeprefix("nice-")
    encoder = auto_encoder(question) if kind == "plausibility" else None

    def one(k):
        rows = np.where(question.vary[k], question.filled(question.brought(question.X)), question.records[k])
        nice = NICE(
            predict_fn=classifier, X_train=rows, cat_feat=question.choice_columns, y_train=question.y.astype(int),
            optimization=kind, justified_cf=True, auto_encoder=encoder,
        )  # fmt: skip
        if not nice.data.candidates_mask[nice.data.X_train_class == 1].any():
            return None, "no training row stays in the wanted class when pinned"
        return nice.explain(question.records[k : k + 1].copy())[0], ""

    return one, lambda: classifier.rows


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
