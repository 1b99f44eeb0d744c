"""Objects and rooms built from parametric parts; y is up, sizes in metres."""
