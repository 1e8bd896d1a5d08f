"""A small synthetic world: OSM file and imagery that agree with each other to the pixel."""
