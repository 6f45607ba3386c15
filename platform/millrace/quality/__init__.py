"""Is this table fit for training on this target? A fixed vocabulary of checks, backed by Great Expectations."""
