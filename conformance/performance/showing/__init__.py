"""A run as pictures, as a page, and as metrics."""
