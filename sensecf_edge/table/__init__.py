"""The one reader of tables, for both sides: what a file is, its first bytes say; what a cell says is the same in every format.

In: a CSV, JSON Lines or Parquet file or stream. Out: lines or columns of cells, known people coded by a schema, or every fault at once.
Explains nothing, and guesses no value.
"""
