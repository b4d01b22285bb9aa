"""What a bundle is worth on people that nothing was trained on.

In: a bundle and the table it was fitted on. Out: figures with their intervals, and tables of them in words. Chooses nothing: what was
measured here changes no model.
"""
