"""Imagery from Google Earth Engine: credentials, listing, pixel requests, exports."""
