"""Labels: the class field, labels to pixels, and splits of labelled pixels."""
