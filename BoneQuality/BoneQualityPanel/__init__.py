"""The parts of the two panels, BoneQuality.py and BoneQualityCohort.py; imported when a panel is opened, not when Slicer starts.

parameter_node   a case as the panel holds it in the scene
cases            the cases of the scene: ids, first choices, the demo
measuring        what is missing, measuring, results into the scene, export
inputs_section   which segment shows what, which level is used
results_section  the card, the table of levels, doubts
place_section    from a value to its place in the views and back, next and previous
edits_section    ROIs moved by hand, their value while they move
readings_section second reader, second date; comparison_text what it says of them
export_section   files; dicom_export: those for a PACS
segmenting       masks by an installed segmentation extension
translated       sentences of the library in the user's language
cohort_section   many cases: manifest, measuring, their list (case_list); statistics_section: a cohort's statistics
messages         one way in which faults, progress and missing packages are said

A section knows the panel, its widgets and its logic; sections do not know each other.
"""
