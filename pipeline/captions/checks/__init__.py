"""The check of every claim of a caption against the facts, before the caption is kept."""
