"""Stages: one short module each, glue between the tables and the domain folders."""
