"""Imagery: scenes, windows, pixel quality, encoding."""
