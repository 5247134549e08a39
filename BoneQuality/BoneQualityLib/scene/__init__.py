"""Everything MRML: the session, files and nodes, nodes and arrays, results as nodes, slice views. Only this room speaks slicer and vtk.

May import outputs, case, measures, anatomy, image and files.
"""
