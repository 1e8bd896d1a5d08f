"""Prompt files: front matter and a Jinja body, one Markdown file a prompt."""
