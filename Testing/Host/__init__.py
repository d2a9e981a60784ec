"""A strict stand-in for 3D Slicer: its Python modules on PySide6, over real MRML."""
