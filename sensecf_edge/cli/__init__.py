"""The command line: open, call, print, exit code.

In: arguments. Out: the answer on standard output, talk on standard error. Every heavy import is inside the command that needs it; nothing
is decided here that a program could not ask for in Python.
"""
