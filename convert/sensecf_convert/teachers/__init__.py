"""Pairs to learn from: people in the unwanted class, each with a sparse, near, realistic way out.

In: training people, a classifier and a density. Out: (factual, counterfactual) pairs, whatever the number of workers. The people are made
of training rows, and none is anybody's own row.
"""
