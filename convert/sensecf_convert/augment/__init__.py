"""Counterfactuals as training rows: for tables with few labels, and the study that says what they are worth.

    loose.py     what makes a row possible, apart from what may be advised; which class is made
    forge.py     a small table -> checker, density, taught generator, as a bundle
    rows.py      the bundle's answers -> rows of the short class; nobody's copy
    sheet.py     rows -> cells of the table, with where each came from
    command.py   `augment`: a table in, rows out
    scarcity.py  the study's scenarios: which labels are left
    learners.py  the classifiers that learn from what is left
    methods.py   what each method adds to it
    study.py     `augment study`: every cell once, whatever interrupts it
    study_command.py  plan, cells, report
    results.py  figures.py  gains.py  plots.py  page.py   what the cells say

All of it looks only at the rows it is given: the study gives it the reduced training people and nothing else.
"""
