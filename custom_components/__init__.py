"""Integrations of this repository for Home Assistant."""
