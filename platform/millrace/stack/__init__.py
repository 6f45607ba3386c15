"""The platform on one machine: supervised processes, ports, readiness, doctor."""
