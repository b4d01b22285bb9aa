"""A page on this machine for people who open no terminal.

In: a browser on this machine that knows the token. Out: the page, and JSON for it. Keeps no record longer than a request takes,
answers one request after another, and computes nothing that a program could not ask for in Python.
"""
