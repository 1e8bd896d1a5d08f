"""Prefect flows and deployments; the only place that may import prefect."""
