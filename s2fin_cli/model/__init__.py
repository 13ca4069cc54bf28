"""Models: what one says about itself, its file, whether it fits images, and STAC items."""
