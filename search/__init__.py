"""Floor 4: splits, thresholds, training and evaluation runs, tables and figures."""
