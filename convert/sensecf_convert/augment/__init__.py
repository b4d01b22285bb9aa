"""Counterfactuals as training rows, for tables that are short of one class.

In: a small table. Out: the table and made rows, each with where it is from. A made row is no person, and copies none.
"""
