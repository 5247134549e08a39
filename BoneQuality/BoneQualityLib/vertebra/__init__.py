"""One vertebra: its body, cut from a whole mask where need be, its axes, its surfaces, and checks of its mask.

May import anatomy and image.
"""
