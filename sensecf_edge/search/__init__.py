"""From proposals to answers: each improved move by move, sets of features searched, the best of them ranked and told apart.

In: an answer space, a judge, candidates. Out: `Counterfactual`s that passed every rule and the goal, and what was proven. Every step goes
through `judge`; nothing is shown that was not judged.
"""
