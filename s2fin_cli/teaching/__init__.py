"""The teacher: an ensemble that learns from few labels and labels the scene for the network."""
