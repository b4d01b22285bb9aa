"""What is said of a record: plain data that goes to JSON and back, and the scale on which scores are told as risks.

In: figures that others have computed. Out: an `Explanation` and its parts. Computes no answer and asks no model.
"""
