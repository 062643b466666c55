"""The page on which predictions are looked at and corrected: a small server for one video, and what it shows."""
