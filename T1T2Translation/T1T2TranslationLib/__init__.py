"""Synthetic MRI: translate one MRI sequence of the head into another, with an error map."""

__version__ = "0.1.0"
