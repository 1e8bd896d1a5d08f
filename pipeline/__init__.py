"""Skyteller: remote-sensing image-text datasets from open maps and aerial imagery."""

__version__ = "0.1.0"
