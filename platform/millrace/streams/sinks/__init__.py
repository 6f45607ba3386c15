"""Where scored events go outside Kafka: each place knows itself how far it has come, and takes no record twice."""
