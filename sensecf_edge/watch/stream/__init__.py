"""Readings of sensors in, one by one; days, and what is advised on them, out.

Keeps the readings of days that are open in one file, so that a crash loses none, and nothing of days that are closed.
"""
