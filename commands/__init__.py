"""The commands of chironomy: each adds its arguments to the parser, and makes one call down."""
