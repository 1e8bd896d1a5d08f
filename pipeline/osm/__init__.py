"""OpenStreetMap: files to element tables, area rules, tag vocabulary."""
