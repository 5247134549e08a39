"""What a person gave, from a command line, a manifest's row or a panel, checked once; and ``measure_case``, the one entry.

May import scene, case, outputs, files and anatomy.
"""
