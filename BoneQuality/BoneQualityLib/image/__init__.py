"""Lattices, images, masks, distances and resampling, by numpy and scipy.

Imports no other room.
"""
