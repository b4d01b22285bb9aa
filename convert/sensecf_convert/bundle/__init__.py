"""The last step of a fit: models, schema and aggregates become a folder that opens, with a card that says what it is worth.

In: what the other steps made and what was measured. Out: a bundle's files. No training row goes into them.
"""
