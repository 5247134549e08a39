"""Many cases: the manifest, its draft, running the cases, workers.

May import entry, case, outputs and files.
"""
