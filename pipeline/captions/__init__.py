"""Captions: facts to sentences."""
