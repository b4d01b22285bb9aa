"""What made rows are worth where labels are scarce: the study, its figures and its page.

In: a table, from which labels are taken away. Out: results of every method on untouched people.
"""
