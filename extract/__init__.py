"""Floor 2: decoding, the backbone and its runtimes, audio features, and the pipeline."""
