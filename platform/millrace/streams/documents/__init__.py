"""Documents from Kafka through a language model: what is asked, what comes back, and the trail of both."""
