"""Pure functions from a State to lines of text with roles; no widgets, no clock, no I/O."""
