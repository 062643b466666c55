"""Floor 5: drawn performances of a seated guitarist, and the whole path run on them."""
