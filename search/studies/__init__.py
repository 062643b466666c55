"""Searches for settings: the space, trials, studies of many trials, and what came of them."""
