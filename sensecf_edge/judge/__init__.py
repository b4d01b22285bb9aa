"""What candidates are worth: the classifier (the only door to onnxruntime), how typical a record is, what is unknown, one cost.

In: codes of candidates, shape (candidates, features). Out: probabilities, percentiles, cost and rank keys, verdicts over completions,
how steady an answer is. Looks for nothing: `search` does.
"""
