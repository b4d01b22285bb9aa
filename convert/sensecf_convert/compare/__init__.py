"""Ours, the teacher and other packages on the same unseen people, with the same limits, measured by the same ruler.

In: a bundle and its table. Out: results.csv, results.json, one page. Other packages run in environments of their own (`programs`), and
nothing of ours is tuned by what is found.
"""
