"""The teacher: learns from few labels, and labels the scene for the network."""
