"""A wing of its own: synthetic spines and muscles with known answers, the demo case, and the papers' patients drawn again.

May import entry, batch, statistics, outputs, measures, vertebra, image, scene and files.
"""
