"""Floor 3: targets, losses, networks, training, prediction, labelling and metrics."""
