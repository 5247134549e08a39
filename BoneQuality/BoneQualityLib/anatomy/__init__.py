"""Vocabulary of the spine: names, terminology codes, label schemes, and which segment is which structure.

May import image.
"""
