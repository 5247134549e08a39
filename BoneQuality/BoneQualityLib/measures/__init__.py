"""The measurements, one family per file: ``place`` puts a ROI by the masks, ``read`` takes numbers from the image.

May import vertebra, anatomy and image.
"""
