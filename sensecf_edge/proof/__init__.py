"""Whether any answer exists: every combination tried, or ruled out by branch and bound on the trees inside a classifier.

In: an answer space, and a classifier with its graph. Out: an answer that nobody had found, or a proof that there is none. Effort is
counted in work, so that a slow machine proves what a fast one does. Judges nothing by cost: `search` does.
"""
