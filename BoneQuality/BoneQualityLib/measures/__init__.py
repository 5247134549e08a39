"""The measurements: ``place`` puts a ROI by the masks, ``read`` takes numbers from the image.

The families of the registry (`columns.MEASURES`) are the files hounsfield, heights, marrow, csf and muscles; the other files are their
parts, and checks of images and masks. A family that reads one level of a CT by itself has the two functions that `case.ct` calls::

    place_level(body, image, parameters, frame) -> placed     # all that a person's edits do not change
    read_level(placed, image, edits) -> LevelNumbers          # what cannot be measured is absent, with its reason

May import vertebra, anatomy and image.
"""
