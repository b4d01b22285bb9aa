"""How figures look: pages made of templates, pictures as PNG bytes, numbers in words; options that programs share.

In: figures. Out: text and bytes. Knows nothing of what the figures mean.
"""
