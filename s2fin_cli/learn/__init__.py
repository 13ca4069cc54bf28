"""Training: splits, samples, augmentation and the training loop."""
