"""Models: their description, their file, whether they fit images, and STAC items."""
