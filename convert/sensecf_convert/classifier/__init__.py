"""The classifier that judges records: trained here, or brought along, as one ONNX graph that is proven to agree with it.

In: training people, or a model file. Out: a graph, how true its probabilities are, from which risk on a person counts as a case. Test
people are measured on and chosen by never.
"""
