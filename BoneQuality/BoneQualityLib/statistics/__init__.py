"""A wing of its own: the statistics of a cohort, from its CSV file to tables, figures and a page.

May import files.
"""
