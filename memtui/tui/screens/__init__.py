"""What fills the terminal: the dashboard, the diff, and what opens over them."""
