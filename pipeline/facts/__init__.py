"""Facts: what geometry and tags say about a patch, in metres on the ground."""
