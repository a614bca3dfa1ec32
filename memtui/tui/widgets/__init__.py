"""Widgets that keep the lines they show and redraw only the rows that changed."""
