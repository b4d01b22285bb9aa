"""Ways to an answer that need no language model, in the same answer space and under the same rules, beside the generator's first tries.

In: a bundle and people of its table. Out: what each way finds for how many rows of the classifier. Makes no bundle better.
"""
