"""compare: ours, the teacher and other packages on the same unseen people, with the same limits, measured by the same ruler.

methods   what there is to compare, and how each is asked
asked     the question: records, ranges, training rows, in a private folder that is deleted
trees     the trees inside an ONNX classifier, for the methods that work on trees
own       our own methods, in a process of their own like the others
running   one method over all records, with its limits
scoring   answers -> one row per record and method
fewest    what is proven of the fewest features that an answer must change
figures   rows -> figures with intervals
plots     figures as pictures
page      report.html
command   the whole of it, resumable
"""
