"""STAC items as inputs: references to them, which of their assets make an image, and what they say of the files."""
