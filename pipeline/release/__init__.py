"""Releases: splits, shards, index, card, proof."""
