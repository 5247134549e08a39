"""Many cases: the manifest, its draft, running the cases, workers.

May import entry, case, outputs, files and anatomy.
"""
