"""Metadata database, content-addressed artifacts, outbox and its relay, table lake."""
