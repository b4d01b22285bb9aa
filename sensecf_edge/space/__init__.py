"""What may change: the answer space of one record under one request, the rules an answer must keep, and how far a change goes.

In: a record and a request's `Constraints`. Out: `Admissible`, the values that each feature may take; masks of candidates that break a
rule; distances. Asks no model: whether a change is of use is for `judge`.
"""
