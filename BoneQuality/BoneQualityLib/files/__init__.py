"""Files before they are read and as they are written: checks, DICOM headers, the CSV reader and writer, whole-or-nothing writing.

Imports no other room.
"""
