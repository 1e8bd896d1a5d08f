"""Prefect flows and deployments over the library. Nothing else imports prefect; no truth is kept here."""
