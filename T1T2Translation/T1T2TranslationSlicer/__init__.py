"""What of the panel knows Slicer: nodes, views and sections; `T1T2Translation.py` puts them together."""
