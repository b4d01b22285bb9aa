"""What a language model is asked and what it may answer: the prompt, the exact grammar, the reading of a reply.

In: an answer space. Out: a `Request` for whatever keeps to the `Engine` protocol, and from its text a candidate or why it is none.
Runs no model: `llama` does.
"""
