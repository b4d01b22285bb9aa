"""Many records at once: a table in, a table of answers out, every row once, however often the job was interrupted.

In: a table and a job's wishes. Out: published files of answers and of rejects. What an answer is, `explain` decides.
"""
