"""What leaves a measured case: the versioned document, CSV, text, pictures, the comparison of two cases.

May import case, measures, image and files.
"""
