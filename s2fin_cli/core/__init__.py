"""What everything else rests on: errors, progress, files, names of datasets, classes, options."""
