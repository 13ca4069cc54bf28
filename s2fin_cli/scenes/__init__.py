"""Lists of scenes that are mapped with one model, and what is known of those that are finished."""
