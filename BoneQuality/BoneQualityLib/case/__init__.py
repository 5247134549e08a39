"""From images and masks to one result, without MRML: levels, case values, published cut-offs beside them.

May import measures, vertebra, anatomy and image.
"""
