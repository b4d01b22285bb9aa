"""DiCE with its own options: features_to_vary, permitted_range, stopping_threshold. One counterfactual a record.

Its own random_seed draws every feature from the same numbers, so chance is seeded around it instead. A choice's present
value is always permitted, as DiCE demands.
"""

import logging
import sys
import warnings

import asked
import dice_ml
import numpy as np
import pandas as pd
from raiutils.exceptions import UserConfigValidationException

OUTCOME = "outcome__"


class Model:
    """The classifier as scikit-learn's users know one; choices are words here, as DiCE wants them."""

    def __init__(self, question, classifier):
        self.question, self.classifier = question, classifier
        self.classes_ = np.array([0, 1])

    def predict_proba(self, frame):
        """Probabilities of the labels 0 and 1."""
        return self.classifier(codes(self.question, frame))

    def predict(self, frame):
        """Labels."""
        return self.predict_proba(frame).argmax(axis=1)


def codes(question, frame):
    """Rows as DiCE has them -> codes."""
    columns = [frame[n].tolist() for n in question.names]
    return np.array([
        [float(str(v).removeprefix("c")) for v in column] if kind == "choice" else column
        for column, kind in zip(columns, question.kinds, strict=True)
    ], dtype=float).T  # fmt: skip


def with_choice_texts(question, X):
    """Codes -> rows as DiCE wants them."""
    X = np.atleast_2d(X)
    return pd.DataFrame({
        n: [f"c{int(v)}" for v in X[:, i]] if question.kinds[i] == "choice" else X[:, i]
        for i, n in enumerate(question.names)
    })  # fmt: skip


def prepare(question, method):
    """See `asked.answer`."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    kind, classifier = method.removeprefix("dice-"), asked.Classifier(question)
    table = with_choice_texts(question, question.X)
    table[OUTCOME] = question.y.astype(int)
    numbers = [n for n, k in zip(question.names, question.kinds, strict=True) if k == "number"]
    data = dice_ml.Data(dataframe=table, continuous_features=numbers, outcome_name=OUTCOME)
    dice = dice_ml.Dice(data, dice_ml.Model(model=Model(question, classifier), backend="sklearn"), method=kind)
    goal = float(classifier.shown(question.goal))
    seen = [set(column) for column in question.X.T]  # DiCE refuses a choice that none of its rows has

    def one(k):
        vary = [n for n, v in zip(question.names, question.vary[k], strict=True) if v]
        if not vary:
            return None, "nothing may change"
        permitted: dict[str, list[str] | list[float]] = {}
        for i, n in enumerate(question.names):
            if question.kinds[i] == "choice":
                permitted[n] = [f"c{int(c)}" for c in question.allowed[k][i] if c in seen[i]]
            else:
                permitted[n] = [float(question.low[k, i]), float(question.high[k, i])]
        try:
            done = dice.generate_counterfactuals(
                with_choice_texts(question, question.records[k]), total_CFs=1, desired_class=1, features_to_vary=vary,
                permitted_range=permitted, stopping_threshold=goal, verbose=False,
            ).cf_examples_list[0]  # fmt: skip
        except UserConfigValidationException:  # that is how it says that there is none
            return None, "none found"
        frame = done.final_cfs_df_sparse if done.final_cfs_df_sparse is not None else done.final_cfs_df
        if frame is None or not len(frame):
            return None, "none found"
        return codes(question, frame)[0], ""

    return one, lambda: classifier.rows


if __name__ == "__main__":
    asked.answer(sys.argv, prepare)
