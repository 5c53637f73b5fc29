"""The model that this repository trains and ships."""
