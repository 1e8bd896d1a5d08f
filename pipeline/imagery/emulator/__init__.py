"""A local server that speaks Earth Engine's REST protocol: to try a config without an account or quota."""
