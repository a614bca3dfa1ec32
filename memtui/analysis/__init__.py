"""Pure functions over the State: trends, growth, differences, predictions."""
