"""Figures, for screen and print; `style` is the look of all of them."""
