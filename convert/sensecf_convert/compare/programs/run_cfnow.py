"""CFNOW. It has no option for immutables or ranges: it is shown only what may change; limits are put on inside the classifier,
as for every package. Choices with more than two places are one-hot, those with two are switches.

Importing CFNOW fetches a word list for its text explainer; that is prevented.
"""

import logging
import sys
import warnings

import nltk

nltk.download = lambda *_, **__: False

import asked  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from cfnow import _fine_tune, find_tabular  # noqa: E402


class _Numpy:
    """numpy for CFNOW's fine tuning, which joins an empty list to its table of answers where it meets only those it has already, and
    would lose them all by the error."""

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def concatenate(parts):
        return np.concatenate([part for part in parts if np.size(part)] or parts[:1])


_fine_tune.np = _Numpy()


class Form:
    """One record as CFNOW sees it: columns of what may vary."""

    def __init__(self, question, k):
        self.question, self.k = question, k
        self.columns: list[tuple[int, int | None, str, str]] = []
        for i in np.flatnonzero(question.vary[k]).tolist():
            if question.kinds[i] == "number":
                self.columns.append((i, None, f"n{i}", "num"))
            elif question.choices[i] == 2:
                self.columns.append((i, 1, f"b{i}_1", "cat"))
            else:
                self.columns += [(i, c, f"c{i}_{c}", "cat") for c in range(question.choices[i])]
        self.types = {name: kind for *_, name, kind in self.columns}

    def factual(self):
        """The record in these columns."""
        x = self.question.records[self.k]
        return pd.Series({name: float(x[i]) if c is None else float(x[i] == c) for i, c, name, _ in self.columns})

    def whole(self, shown):
        """Rows as CFNOW has them -> whole records."""
        shown = np.atleast_2d(np.asarray(shown, dtype=np.float64))
        q, k = self.question, self.k
        out = np.repeat(q.records[k : k + 1], len(shown), axis=0)
        for i in np.flatnonzero(q.vary[k]):
            at = [j for j, column in enumerate(self.columns) if column[0] == i]
            if q.kinds[i] == "number":
                out[:, i] = shown[:, at[0]]
            else:
                out[:, i] = (shown[:, at[0]] > 0.5).astype(float) if len(at) == 1 else shown[:, at].argmax(axis=1).astype(float)
        return out


def prepare(question, method):
    """See `asked.answer`."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    strategy, classifier = method.removeprefix("cfnow-"), asked.Classifier(question)

    def one(k):
        form = Form(question, k)
        if not form.columns:
            return None, "nothing may change"
        ohe = any(kind == "cat" and question.choices[i] > 2 for i, _, _, kind in form.columns)
        np.random.seed(question.seed)
        done = find_tabular(
            factual=form.factual(), feat_types=form.types, cf_strategy=strategy, has_ohe=ohe,
            model_predict_proba=lambda rows: classifier(form.whole(rows)), limit_seconds=0.8 * question.seconds,
        )  # fmt: skip
        if not len(done.cfs):
            return None, "none found"
        return form.whole(done.cfs[0])[0], ""

    return one, lambda: classifier.rows


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
