"""Parts of a map that are made one by one, by any process on any machine, and kept as files until it is assembled."""
