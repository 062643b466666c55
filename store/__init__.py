"""Floor 1: the feature store, annotations, gesture vocabularies and the clip timeline."""
