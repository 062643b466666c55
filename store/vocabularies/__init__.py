"""The built-in gesture vocabularies, as TOML files."""
