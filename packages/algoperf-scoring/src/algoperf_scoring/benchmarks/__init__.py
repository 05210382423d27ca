"""The built-in benchmark definitions, as TOML files beside this module."""
