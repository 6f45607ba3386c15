"""Everything that speaks to Kafka: the embedded broker, client settings, topics, consumers and dead letters."""
