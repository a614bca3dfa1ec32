"""Recordings: what a session folds into its State, in a file that can be played again."""
