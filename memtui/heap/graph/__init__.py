"""What the references of a heap picture tell: who holds what, by which path, and how much would go with it."""
